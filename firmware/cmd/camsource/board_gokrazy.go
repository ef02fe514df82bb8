//go:build gokrazy

// What is different on a board: nobody reads a usage text, the camera may come later, state lives in /perm.

package main

import (
	"io"
	"os"

	"github.com/krazycam/krazycam/board"
)

const (
	onBoard  = true
	stateDir = "/perm/camsource" // init makes it and gives it to board.SourceUser

	restartWish = board.RestartWish
)

// console is where log and machine lines go besides stderr: gokrazy keeps a service's
// output in memory, where nobody can read it who has only a serial cable. A minute has one
// line of 250 bytes, 20 ms at 115200 baud, which the kernel's buffer takes at once.
func console() io.Writer {
	f, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
	if err != nil {
		return io.Discard
	}
	return f
}
