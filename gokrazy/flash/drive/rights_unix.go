//go:build unix

package drive

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mayWrite finds a missing right before questions are asked.
func mayWrite(path string) error {
	if err := unix.Access(path, unix.W_OK); err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	return nil
}

// lock takes a card or a file for this process until it is closed, and does not wait. On Linux it also
// keeps udev, and so a desktop, from a card that is half written. Sources: flock(2), systemd's
// "Locking Block Device Access".
func lock(f *os.File) error {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("%w: %s: another program writes it", ErrInUse, f.Name())
		default: // nil, or a file system without locks
			return nil
		}
	}
}
