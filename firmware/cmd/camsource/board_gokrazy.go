//go:build gokrazy

// What is different on a board: nobody reads a usage text, the camera may come later, state lives in /perm.

package main

import (
	"io"
	"os"
	"syscall"

	"github.com/krazycam/krazycam/board"
)

const (
	onBoard  = true
	stateDir = "/perm/camsource" // init makes it and gives it to board.SourceUser

	// benchFile is root's: what camsource could leave in its own folder, in foreign hands,
	// root must neither believe nor write through.
	benchFile = "/perm/bench.json"

	restartWish = board.RestartWish
)

// console is where log and machine lines go besides stderr: gokrazy keeps a service's
// output in memory, where nobody can read it who has only a serial cable. A minute has one
// line of 250 bytes, 20 ms at 115200 baud, which the kernel's buffer takes at once; a result
// of a bench has 10 kB. Opened to block: the kernel lets nobody else write before such a
// write is done, while os.OpenFile would get a part of it taken, and others in between.
func console() io.Writer {
	fd, err := syscall.Open("/dev/console", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return io.Discard
	}
	return os.NewFile(uintptr(fd), "/dev/console")
}
