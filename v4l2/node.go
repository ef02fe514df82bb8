// node: a /dev/videoN as a Driver. It owns the descriptor (through the library), an eventfd and
// the mappings. Sources: the V4L2 pages of each VIDIOC call, poll(2), eventfd(2).
//
// It does the following itself, because blackjack/webcam v0.6.1 does it wrong
// (vivid_library_guest_test.go shows each on a real driver):
//
//   - (a) SetImageFormat returns the size that was asked for; no stride.
//   - (b) Open accepts nodes that cannot capture: it looks at the whole device's
//     capabilities, not at the node's.
//   - (c) StartStreaming leaves its mappings behind when it fails, so that the camera
//     stays busy until the program ends.
//   - (d) StopStreaming unmaps before STREAMOFF and never frees the buffers with
//     REQBUFS(0), so that the next S_FMT is EBUSY.
//   - (e) GetFrame gives no time stamp, sequence or error flag.
//   - (f) It asks for 256 buffers and gets 32 or 64: a second or two of old pictures.
//   - (h) StartStreaming turns the errno into text.
//   - (i) WaitForFrame counts in whole seconds, cannot be interrupted and takes an
//     unplugged camera for a ready one.
//   - GetSupportedFrameSizes and GetSupportedFramerates leave continuous ranges out.
//
// Known and not changed: (g) ReadFrame gives the buffer back before it is read; it is not used
// here. (j) Pointers pass through uintptr functions, which is safe only while the compiler
// inlines them (it does, except with -gcflags=all=-l); the remaining calls happen when a camera
// is opened. (k) Cameras with the multi-planar interface do not work.

package v4l2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

type node struct {
	library
	fd         int
	event      int // eventfd: can be read once Interrupt was called
	id         Identity
	colours    Colours
	mappings   [][]byte
	poll       [2]unix.PollFd
	reusedInfo bufferInfo // for each call: a local one would escape into it
}

// openNode opens a node and checks that it can capture.
func openNode(path string) (*node, error) {
	lib, fd, err := openLibrary(path)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	n := &node{library: lib, fd: fd, event: -1, id: Identity{Path: path}}
	if err := n.identify(); err != nil {
		_ = n.Close() // the first error is the one to report
		return nil, err
	}
	if n.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = n.Close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	n.poll = pollBoth(fd, n.event)
	return n, nil
}

func pollBoth(device, interrupt int) [2]unix.PollFd {
	return [2]unix.PollFd{{Fd: int32(device), Events: unix.POLLIN}, {Fd: int32(interrupt), Events: unix.POLLIN}}
}

func (n *node) identify() error {
	c := new(capability)
	if err := ioctl(n.fd, vidiocQueryCap, unsafe.Pointer(c)); err != nil {
		return fmt.Errorf("QUERYCAP: %w", err)
	}
	n.id.Name, n.id.Bus, n.id.Driver = cString(c.card[:]), cString(c.busInfo[:]), cString(c.driver[:])
	if c.deviceCaps&capCapture == 0 || c.deviceCaps&capStreaming == 0 {
		return fmt.Errorf("%s, capabilities %#08x: %w", n.id.Name, c.deviceCaps, ErrNotCapture)
	}
	return nil
}

// cString returns the characters before the NUL of a C string.
func cString(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(bytes.ToValidUTF8(b, []byte("?")))
}

func (n *node) Identity() Identity { return n.id }
func (n *node) Now() time.Duration { return Now() }

func (n *node) SetFormat(f pixfmt.FourCC, width, height int) (pixfmt.Layout, error) {
	if err := n.setFormat(f, width, height); err != nil {
		return pixfmt.Layout{}, fmt.Errorf("S_FMT: %w", err)
	}
	q := &format{kind: typeCapture}
	if err := ioctl(n.fd, vidiocGFmt, unsafe.Pointer(q)); err != nil {
		return pixfmt.Layout{}, fmt.Errorf("G_FMT: %w", err)
	}
	n.colours = coloursOf(&q.union.pix)
	return layoutOf(&q.union.pix), nil
}

// Colours are those of the format that was set last.
func (n *node) Colours() Colours { return n.colours }

// layoutOf reads the driver's answer without judging it: that is for Layout.Check. A driver may
// leave stride or size out: then they are the minimum.
func layoutOf(p *pixFormat) pixfmt.Layout {
	answer := pixfmt.Layout{
		Format: pixfmt.FourCC(p.pixelFormat), Width: int(p.width), Height: int(p.height),
		Stride: int(p.bytesPerLine), Size: int(p.sizeImage),
	}
	if answer.Format.Compressed() {
		answer.Stride = 0
	}
	minimum, err := pixfmt.New(answer.Format, answer.Width, answer.Height, answer.Stride)
	if err != nil {
		return answer
	}
	if answer.Format.Compressed() && answer.Size > 0 {
		return answer
	}
	return minimum
}

func (n *node) SetInterval(d time.Duration) (time.Duration, error) {
	// A driver without rates answers ENOTTY or EINVAL: its rate cannot be set.
	if err := n.setRate(d); err != nil && !errors.Is(err, unix.ENOTTY) && !errors.Is(err, unix.EINVAL) {
		return 0, fmt.Errorf("S_PARM: %w", err)
	}
	q := &streamParm{kind: typeCapture}
	if err := ioctl(n.fd, vidiocGParm, unsafe.Pointer(q)); err != nil {
		return 0, nil // unknown
	}
	return fraction(q.numerator, q.denominator), nil
}

func (n *node) Wait(timeout time.Duration) error {
	deadline := Now() + timeout
	for {
		// In milliseconds, rounded up: better wake a little late than spin at the end.
		left := max(0, deadline-Now())
		_, err := unix.Poll(n.poll[:], int((left+time.Millisecond-1)/time.Millisecond))
		device, interrupt := n.poll[0].Revents, n.poll[1].Revents
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("poll: %w", err)
		case interrupt != 0:
			return ErrClosed
		case device&unix.POLLERR != 0 && device&(unix.POLLHUP|unix.POLLNVAL) == 0:
			// The device is there and its queue is in the error state; an unplugged one hangs up, too.
			return fmt.Errorf("poll says %#x: %w", device, unix.EIO)
		case device&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0:
			return fmt.Errorf("poll says %#x: %w", device, ErrGone)
		case device != 0:
			return nil
		case left == 0:
			return ErrSilent
		}
	}
}

func (n *node) Interrupt() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(n.event, one[:]) // fails only if it is set already
}

func (n *node) Close() error {
	if n.event >= 0 {
		_ = unix.Close(n.event) // it holds no data that could be lost
		n.event = -1
	}
	return n.closeDevice()
}
