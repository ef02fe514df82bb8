// Virtual webcam: the device itself, the queue of transfers and who fills it.
// `go test` needs nothing; with QEMU see gokrazy's VM tests.
// Spec: USB Device Class Definition for Video Devices 1.1 (UVC), USB 2.0 chapter 9.

// Package virtualcam is a USB webcam played by a program: a kernel that sees it binds its
// own uvcvideo driver, so that what is tested is the path that a real camera takes.
//
// A Camera answers the control requests of a high speed UVC device, bulk or isochronous,
// with MJPG and YUYV at the sizes of its Source and 30, 15 or 10 pictures a second, sends
// each picture at the moment it is due, and misbehaves on demand (Faults). ServeUSBRedir plugs it into QEMU's usb-redir device, on
// any operating system. A Source is a moving Pattern or a Clip; either can stamp its
// pictures (package stamp), and both give the picture without stamp back for comparison.
//
// Each connection owns one goroutine, an isochronous stream another; they end with it. Nothing here touches a device of
// the machine it runs on.
package virtualcam

import (
	"cmp"
	"encoding/binary"
	"sync"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// Size of a picture in pixels.
type Size struct{ Width, Height int }

// A Source makes what the driver finds in its buffers.
type Source interface {
	// Sizes that the camera offers, the preferred one first; at least one, each even.
	Sizes() []Size
	// Buffer is picture n, exposed at due, in format f (MJPG or YUYV) and a size of
	// Sizes. The caller is done with the bytes before it calls again. An error ends the
	// connection.
	Buffer(f pixfmt.FourCC, s Size, n uint32, due time.Time) ([]byte, error)
}

// A Model is how a camera is built and what it is called. The zero Model is a bulk camera
// named "Virtual UVC" with serial number "0001".
type Model struct {
	Name   string // of the product, ASCII
	Serial string // ASCII
	// Isochronous cameras send each packet in a microframe of its own, as most real ones
	// do. QEMU reads ahead, which costs about 115 ms: take bulk to measure latency.
	Isochronous bool
}

// A Camera is one virtual webcam. It may be plugged in and pulled as often as wanted, but
// only into one connection at a time.
type Camera struct {
	source        Source
	isochronous   bool
	configuration []byte   // USB configuration descriptor
	words         []string // string descriptors by number, the first unused

	mu        sync.Mutex
	link      *redirection // the live connection, or nil
	probe     probe
	priority  byte // 1: pictures may take longer in low light, as from the factory
	stream    stream
	transfers []transfer    // bulk IN transfers that wait for bytes, oldest first
	wake      chan struct{} // a transfer or a new stream came
	faults    Faults
}

// A transfer is a bulk IN request of the host.
type transfer struct {
	id  uint64
	max int // bytes
	// reply is called once with c.mu held, unless cancel takes the transfer back.
	reply func(data []byte, stall bool)
}

// New makes a bulk camera that shows source.
func New(source Source) *Camera { return Model{}.New(source) }

// New makes a camera of the model that shows source.
func (m Model) New(source Source) *Camera {
	c := &Camera{source: source, isochronous: m.Isochronous, wake: make(chan struct{}, 1), priority: 1}
	c.words = []string{"", "krazycam", cmp.Or(m.Name, "Virtual UVC"), cmp.Or(m.Serial, "0001")}
	c.configuration = configurationDescriptor(source.Sizes(), m.Isochronous)
	c.settle()
	return c
}

// settle fills in what the host left open or the camera cannot do.
func (c *Camera) settle() {
	c.probe.settle(c.source.Sizes())
	if c.isochronous {
		binary.LittleEndian.PutUint32(c.probe[22:], isochronousPayload(c.probe.format()))
	}
}

// Inject sets the faults from now on; the zero value heals the camera.
func (c *Camera) Inject(f Faults) {
	c.mu.Lock()
	c.faults = f
	c.mu.Unlock()
	c.kick()
}

// Pictures is the number of pictures that were due so far, those included for which the
// host was too late. It is also the number of the newest picture.
func (c *Camera) Pictures() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream.number
}

func (c *Camera) kick() {
	select {
	case c.wake <- struct{}{}:
	default: // it will wake up anyway
	}
}

// submit queues a bulk IN transfer.
func (c *Camera) submit(t transfer) {
	c.mu.Lock()
	c.transfers = append(c.transfers, t)
	c.mu.Unlock()
	c.kick()
}

// cancel takes a transfer back and calls then if it still waited, with c.mu held like
// reply, so that the two answers cannot overtake each other: ids are used again.
func (c *Camera) cancel(id uint64, then func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, t := range c.transfers {
		if t.id == id {
			c.transfers = append(c.transfers[:i:i], c.transfers[i+1:]...)
			then()
			return
		}
	}
}

// reset forgets all transfers and the picture under way: pulled, or the bus was reset.
func (c *Camera) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transfers = nil
	c.stream.abort()
}

// feed fills transfers until done is closed or the source fails.
func (c *Camera) feed(done <-chan struct{}) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait, err := c.fill(time.Now())
		if err != nil {
			return err
		}
		timer.Reset(wait)
		select {
		case <-done:
			return nil
		case <-c.wake:
		case <-timer.C:
		}
	}
}

// fill answers as many transfers as the pictures due at now allow and says when to come
// back.
func (c *Camera) fill(now time.Time) (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.transfers) > 0 && !c.faults.Hang {
		if c.faults.Stall {
			c.answer(nil, true)
			continue
		}
		if !c.stream.busy() && !c.stream.due(now) {
			// A millisecond at least: timers are no finer on every system.
			return max(c.stream.next.Sub(now), time.Millisecond), nil
		}
		if !c.stream.busy() {
			if err := c.stream.load(c.source, c.probe, c.faults, now); err != nil {
				return 0, err
			}
		}
		c.answer(c.stream.transfer(c.transfers[0].max), false)
	}
	return time.Hour, nil // until kicked
}

// answer answers the oldest transfer.
func (c *Camera) answer(data []byte, stall bool) {
	t := c.transfers[0]
	c.transfers = c.transfers[1:]
	t.reply(data, stall)
}
