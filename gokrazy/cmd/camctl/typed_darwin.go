package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropTyped forgets what was typed before a question. Where that fails it counts as an answer.
func dropTyped(in *os.File) {
	const read = 1 // FREAD of fcntl.h: what comes in
	_ = unix.IoctlSetPointerInt(int(in.Fd()), unix.TIOCFLUSH, read)
}
