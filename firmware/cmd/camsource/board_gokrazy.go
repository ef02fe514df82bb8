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

// console is where the machine lines go besides stderr: gokrazy keeps a
// service's output in memory, so the serial console would not show it.
func console() io.Writer {
	f, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
	if err != nil {
		return io.Discard
	}
	return f
}
