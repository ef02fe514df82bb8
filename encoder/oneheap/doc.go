// Package oneheap makes glibc keep one C heap for all threads of the program that imports it:
//
//	import _ "github.com/krazycam/krazycam/encoder/oneheap"
//
// By default glibc gives each thread a heap of its own, which keeps freed memory. Go opens an
// encoder on any thread, so after 300 changes of size these heaps held 24 MB. One heap costs no
// time here, because no stage allocates for a picture.
//
// It is an import and not a call because a thread keeps the heap that it has: when Go's main
// begins, four or five threads have one already (malloc_info(3), Go 1.26 on amd64). A C
// constructor runs before them. The program decides whether it wants this, so package encoder
// does not import it. It owns nothing.
package oneheap
