// Package oneheap makes glibc keep one C heap for all threads of the program that imports it:
//
//	import _ "github.com/krazycam/krazycam/encoder/oneheap"
//
// By default each thread gets a heap of its own, which keeps what was freed: encoders that come
// and go with streams and sizes, opened by whichever thread Go runs on, cost 24 MB after 300
// changes of size. One heap costs nothing here, because no stage allocates for a picture.
//
// It is an import and not a call because a thread that has a heap keeps it: when Go's main
// begins, four or five threads have one already (malloc_info(3), Go 1.26 on amd64). A C
// constructor runs before them. Whether a process wants that is its main's decision, so the
// encoder does not do it by itself. It owns nothing.
package oneheap
