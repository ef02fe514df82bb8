// node: a /dev/videoN as a Driver. It owns the descriptor (through the library), an
// eventfd and the mappings. Sources: the V4L2 pages of each VIDIOC call, poll(2),
// eventfd(2).
//
// What it does itself, because blackjack/webcam v0.6.1 does it wrong
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
// Known and left alone: (g) ReadFrame gives the buffer back before it is read, a call that
// is not used here; (j) pointers pass through uintptr helpers, which is safe only as long as
// the compiler inlines them (it does unless told -gcflags=all=-l): those that remain are
// made when a camera is opened; (k) cameras with the multi-planar interface are not served.

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
	fd      int
	event   int // eventfd: readable once Interrupt was called
	id      Identity
	colours Colours
	maps    [][]byte
	poll    [2]unix.PollFd
	info    bufferInfo // reused: a local one would escape into the call
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
	n.id.Name, n.id.Bus, n.id.Driver = text(c.card[:]), text(c.busInfo[:]), text(c.driver[:])
	if c.deviceCaps&capCapture == 0 || c.deviceCaps&capStreaming == 0 {
		return fmt.Errorf("%s, capabilities %#08x: %w", n.id.Name, c.deviceCaps, ErrNotCapture)
	}
	return nil
}

// text cuts a C string at its end.
func text(b []byte) string {
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

// Colours of the format that was set last.
func (n *node) Colours() Colours { return n.colours }

// layoutOf takes the driver's answer as it is; whether it makes sense is for
// Layout.Check. A driver may leave stride or size out: then they are the least.
func layoutOf(p *pixFormat) pixfmt.Layout {
	given := pixfmt.Layout{
		Format: pixfmt.FourCC(p.pixelFormat), Width: int(p.width), Height: int(p.height),
		Stride: int(p.bytesPerLine), Size: int(p.sizeImage),
	}
	if given.Format.Compressed() {
		given.Stride = 0
	}
	least, err := pixfmt.New(given.Format, given.Width, given.Height, given.Stride)
	if err != nil {
		return given
	}
	if given.Format.Compressed() && given.Size > 0 {
		return given
	}
	return least
}

func (n *node) SetInterval(d time.Duration) (time.Duration, error) {
	// A driver without rates answers ENOTTY, some EINVAL: it then has the one it has.
	if err := n.setRate(d); err != nil && !errors.Is(err, unix.ENOTTY) && !errors.Is(err, unix.EINVAL) {
		return 0, fmt.Errorf("S_PARM: %w", err)
	}
	q := &streamParm{kind: typeCapture}
	if err := ioctl(n.fd, vidiocGParm, unsafe.Pointer(q)); err != nil {
		return 0, nil // not known
	}
	return fraction(q.numerator, q.denominator), nil
}

func (n *node) Wait(timeout time.Duration) error {
	deadline := Now() + timeout
	for {
		// Milliseconds, rounded up: waking a little late beats spinning at the end.
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
	_, _ = unix.Write(n.event, one[:]) // fails only when it is set already
}

func (n *node) Close() error {
	if n.event >= 0 {
		_ = unix.Close(n.event) // nothing is lost with it
		n.event = -1
	}
	return n.close()
}
