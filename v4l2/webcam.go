// The seam to github.com/blackjack/webcam, the only file that knows it: it opens
// the node, lists its formats, sets format and rate, and closes it.

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
		// The library's own words, for a node without capture or streaming at all.
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

// formats lists what the node delivers. The library keeps no order; ours is that of the
// codes, so that a listing is stable.
func (l library) formats() []pixfmt.FourCC {
	var all []pixfmt.FourCC
	for code := range l.cam.GetSupportedFormats() {
		all = append(all, pixfmt.FourCC(code))
	}
	slices.Sort(all)
	return all
}

// setFormat is VIDIOC_S_FMT. What the library returns is what was asked for, not
// what the driver took (asked 700x500, given 640x480, told 700x500): read it back.
func (l library) setFormat(f pixfmt.FourCC, width, height int) error {
	_, _, _, err := l.cam.SetImageFormat(webcam.PixelFormat(f), uint32(width), uint32(height))
	return err
}

// setRate is VIDIOC_S_PARM, in thousandths of a picture per second.
func (l library) setRate(interval time.Duration) error {
	return l.cam.SetFramerate(float32(1 / interval.Seconds()))
}

// close closes the descriptor. The library's own StopStreaming is never needed: it
// did not start the stream.
func (l library) close() error { return l.cam.Close() }
