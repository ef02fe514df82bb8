// Package nogain lets the program that imports it gain no right any more that it does not have
// when it starts:
//
//	import _ "github.com/krazycam/krazycam/encoder/nogain"
//
// It sets no_new_privs, and empties the capability bounding set and the ambient set. What the
// program has it keeps, until it gives it up: a program that root starts can still open a camera
// and become another user. But a program that it would start, set-uid or not, has no rights of
// root's, and none of the files that whoever started us left open.
//
// All three belong to a thread, and a new thread has those of the one that makes it. When Go's main
// begins there are four or five threads already, and Go has no call that reaches all of them where
// there is cgo (syscall.AllThreadsSyscall). A C constructor runs before them; so it is an import and
// not a call. It stands here because cgo does. It owns nothing.
//
// Sources: prctl(2), capabilities(7), close_range(2), Documentation/userspace-api/no_new_privs.rst.
package nogain
