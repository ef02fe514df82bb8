// What only Linux has: QEMU that dies with us, and a map of a file's holes.

package vm

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// killWithParent makes the kernel kill QEMU when we end, however we end. The own process group
// keeps Ctrl-C from QEMU, which is ours to stop.
func killWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// nextData is the next stretch of data at or behind at; start is size if only a hole
// follows. A file system without holes gives the whole rest (lseek(2)).
func nextData(f *os.File, at, size int64) (start, end int64, err error) {
	start, err = unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return size, size, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("data behind byte %d: %w", at, err)
	}
	end, err = unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE)
	if err != nil {
		return 0, 0, fmt.Errorf("hole behind byte %d: %w", start, err)
	}
	return start, min(end, size), nil
}
