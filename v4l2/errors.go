// The errors that an owner or the restart policy can act on.

package v4l2

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// What can be wrong with a camera. All errors of this package that have such a
// cause can be told apart with errors.Is; the kernel's own errno stays in the
// chain beside it.
var (
	ErrNoCamera   = errors.New("no such camera")
	ErrBusy       = errors.New("camera busy: another program uses it")
	ErrNotCapture = errors.New("not a capture node: it delivers no pictures")
	ErrGone       = errors.New("camera gone: unplugged, or its driver gave up")
	ErrSilent     = errors.New("camera silent: no usable buffer in time")
	ErrClosed     = errors.New("camera closed")
)

// errPermission words what the kernel calls EACCES so that an owner knows what to do.
var errPermission = fmt.Errorf("this user may not open it; the group video may: %w", fs.ErrPermission)

// explain puts the sentinel that fits in front of an errno; what has none stays.
func explain(err error) error {
	for _, known := range [...]struct {
		errno    error
		sentinel error
	}{
		{unix.EBUSY, ErrBusy},
		{unix.ENOENT, ErrNoCamera},
		{unix.ENXIO, ErrNoCamera},    // a node whose driver has left
		{unix.ENOTTY, ErrNotCapture}, // a file that knows no V4L2 call
		{unix.ENOSYS, ErrNotCapture}, // the same under user-mode emulation
		{unix.EACCES, errPermission},
		{unix.EPERM, errPermission},
		{unix.ENODEV, ErrGone},
		{unix.EIO, ErrGone}, // the queue is in its error state until STREAMOFF
	} {
		if errors.Is(err, known.errno) {
			return fmt.Errorf("%w: %w", known.sentinel, err)
		}
	}
	return err
}

// explainStream is explain for a stream that runs. There EINVAL means that it was stopped
// underneath: a camera that is pulled between poll and DQBUF says that instead of ENODEV
// (seen once in 50 times, uvcvideo of Linux 6.1).
func explainStream(err error) error {
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return explain(err)
}
