//go:build unix

package drive

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// mayWrite finds a missing right before questions are asked.
func mayWrite(path string) error {
	if err := unix.Access(path, unix.W_OK); err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	return nil
}

const (
	// lockPatience is longer than udev looks at a card that was just put in, for which it takes the lock, too.
	lockPatience = 2 * time.Second
	lockPause    = 100 * time.Millisecond
)

// lock takes a card or a file for this process until it is closed. On Linux it also keeps udev, and so a
// desktop, from a card that is half written. Sources: flock(2), systemd's "Locking Block Device Access".
func lock(f *os.File) error {
	for end := time.Now().Add(lockPatience); ; {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK) && time.Now().After(end):
			return fmt.Errorf("%w: %s: another program writes it", ErrInUse, f.Name())
		case errors.Is(err, unix.EWOULDBLOCK):
			time.Sleep(lockPause)
		default: // nil, or a file system without locks
			return nil
		}
	}
}
