//go:build gokrazy

// What is different on a board: nobody reads a usage text, the camera may come later, state
// lives in /perm.

package main

import (
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/firmware/offer"
)

const (
	onBoard  = true
	stateDir = "/perm/camsource" // init makes it and gives it to board.SourceUser

	// benchFile is root's. It is not in camsource's own folder: a camsource in foreign hands
	// could leave a file or a link there, which root must neither believe nor write through.
	benchFile = "/perm/bench.json"

	restartRequest = board.RestartRequest
	healthFile     = health.File

	statusFile = "/run/krazycam/status.json" // init's: which board this is, and what it runs
	offerFile  = offer.Path
)

// modesFile is in memory, as a camera's present state is. init makes the folder.
func modesFile() string { return filepath.Join(filepath.Dir(restartRequest), "modes.json") }

// console is where the log and the lines for machines go besides stderr: gokrazy keeps a
// service's output in memory, where somebody with only a serial cable cannot read it. Every
// minute has one line of 250 bytes, 20 ms at 115200 baud, which the kernel's buffer takes at
// once; the result of a bench has 10 kB. It is opened to block: the kernel then finishes one
// write before it takes another program's, while os.OpenFile would write in pieces, with
// others in between.
func console() io.Writer {
	fd, err := syscall.Open("/dev/console", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return io.Discard
	}
	return os.NewFile(uintptr(fd), "/dev/console")
}
