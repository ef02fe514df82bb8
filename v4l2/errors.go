// The errors that an owner or the restart policy can act on.

package v4l2

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// What can be wrong with a camera. errors.Is finds these causes in all errors of this package;
// the kernel's errno stays in the chain beside them.
var (
	ErrNoCamera   = errors.New("no such camera")
	ErrBusy       = errors.New("camera busy: another program uses it")
	ErrNotCapture = errors.New("not a capture node: it delivers no pictures")
	ErrGone       = errors.New("camera gone: unplugged, or its driver gave up")
	ErrSilent     = errors.New("camera silent: no usable buffer in time")
	ErrClosed     = errors.New("camera closed")
	// ErrModesLeft: not all modes were tried in the time of one Open. The next one, with the same
	// Modes, goes on.
	ErrModesLeft = errors.New("more modes are left to try")
	// ErrUnusable is a kind of ErrSilent: buffers came, and none was fit to be a picture.
	ErrUnusable = fmt.Errorf("%w: the buffers that came are damaged", ErrSilent)
)

// errPermission explains EACCES so that an owner knows what to do.
var errPermission = fmt.Errorf("this user may not open it; the group video may: %w", fs.ErrPermission)

// explainErrno puts the sentinel that fits in front of an errno. An error without one stays as
// it is.
func explainErrno(err error) error {
	for _, known := range [...]struct {
		errno    error
		sentinel error
	}{
		{unix.EBUSY, ErrBusy},
		{unix.ENOENT, ErrNoCamera},
		{unix.ENXIO, ErrNoCamera},    // a node whose driver was removed
		{unix.ENOTTY, ErrNotCapture}, // a file without V4L2 calls
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

// explainStreamErrno is explainErrno for a stream that runs. There every errno means that the
// stream is over, and EINVAL that the kernel stopped it: a camera that is unplugged between poll
// and DQBUF returns that instead of ENODEV (seen once in 50 times, uvcvideo of Linux 6.1).
func explainStreamErrno(err error) error {
	var errno unix.Errno
	explained := explainErrno(err)
	if errors.As(err, &errno) && explained == err { // it knew no words for it
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return explained
}
