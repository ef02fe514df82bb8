// The seam to github.com/blackjack/webcam, the only file that imports it: it opens the node,
// lists its formats, sets format and rate, and closes it.

package v4l2

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// library is an open node as blackjack/webcam sees it.
type library struct{ cam *webcam.Webcam }

// openLibrary opens a node and returns its descriptor, which library still owns.
func openLibrary(path string) (library, int, error) {
	cam, err := webcam.Open(path)
	if err != nil {
		var errno unix.Errno
		if errors.As(err, &errno) {
			return library{}, 0, err
		}
		// An error without errno: the node has no capture or no streaming at all.
		return library{}, 0, fmt.Errorf("%w: %w", ErrNotCapture, err)
	}
	fd, err := descriptor(cam)
	if err != nil {
		_ = cam.Close() // the first error is the one to report
		return library{}, 0, err
	}
	unix.CloseOnExec(fd) // the library leaves it open to child processes
	return library{cam}, fd, nil
}

// descriptor reads the library's file descriptor, which it does not export.
func descriptor(cam *webcam.Webcam) (int, error) {
	v := reflect.ValueOf(cam).Elem().FieldByName("fd")
	if !v.IsValid() || v.Kind() != reflect.Uintptr {
		return 0, errors.New(`blackjack/webcam has no field "fd" of type uintptr any more: pin v0.6.1`)
	}
	return int(v.Uint()), nil
}

// listFormats lists the formats of the node in the order of their codes: the library has no
// order, and a listing must be stable.
func (l library) listFormats() []pixfmt.FourCC {
	var all []pixfmt.FourCC
	for code := range l.cam.GetSupportedFormats() {
		all = append(all, pixfmt.FourCC(code))
	}
	slices.Sort(all)
	return all
}

// setFormat is VIDIOC_S_FMT. The library returns the format that was asked for, not the one that
// the driver took (asked for 700x500, taken 640x480, returned 700x500): read it back.
func (l library) setFormat(f pixfmt.FourCC, width, height int) error {
	_, _, _, err := l.cam.SetImageFormat(webcam.PixelFormat(f), uint32(width), uint32(height))
	return err
}

// setRate is VIDIOC_S_PARM, in thousandths of a picture per second.
func (l library) setRate(interval time.Duration) error {
	return l.cam.SetFramerate(float32(1 / interval.Seconds()))
}

// closeDevice closes the descriptor. The library's StopStreaming is never needed: it did not
// start the stream.
func (l library) closeDevice() error { return l.cam.Close() }
