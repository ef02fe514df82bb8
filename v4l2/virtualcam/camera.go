// Package virtualcam is a USB webcam played by a program. A kernel that sees it binds its own
// uvcvideo driver, so tests exercise the path that a real camera takes.
//
// A Camera answers the control requests of a UVC device of high or full speed, bulk or isochronous. It
// offers MJPG and YUYV at the sizes of its Source and 30, 15 or 10 pictures a second, sends each
// picture when it is due, and misbehaves on demand (Faults). ServeUSBRedir plugs it into QEMU's
// usb-redir device, on any operating system. A Source is a moving Pattern or a Clip; either can
// stamp its pictures (package stamp), and both return the picture without stamp for comparison.
//
// Each connection owns one goroutine, an isochronous stream another; they end with it. Nothing
// here touches a device of the machine on which it runs. `go test` needs nothing; the VM tests
// of v4l2 and gokrazy use it with QEMU.
//
// Sources: USB Device Class Definition for Video Devices 1.1 (UVC), USB 2.0 chapter 9.
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

// A Source makes the bytes that the driver finds in its buffers.
type Source interface {
	// ListSizes returns the sizes of the camera, the preferred one first; at least one, each even.
	ListSizes() []Size
	// FillBuffer returns picture n, exposed at due, in format f (MJPG or YUYV) and a size of
	// ListSizes. The bytes are valid until the next call. An error ends the connection.
	FillBuffer(f pixfmt.FourCC, s Size, n uint32, due time.Time) ([]byte, error)
}

// A Model says how a camera transfers and what it is called. The zero Model is a bulk camera
// named "Virtual UVC" with serial number "0001".
type Model struct {
	Name   string // of the product, ASCII
	Serial string // ASCII
	// An isochronous camera sends each packet in a microframe of its own, as most real ones
	// do. QEMU reads ahead, which costs about 115 ms: use bulk to measure latency.
	Isochronous bool
	// FullSpeed is for a host without a high speed port, such as the USB of QEMU's raspi3b: 12 Mbit/s,
	// bulk only.
	FullSpeed bool
}

// A Camera is one virtual webcam. It may be plugged in and unplugged any number of times, but
// only into one connection at a time.
type Camera struct {
	source            Source
	isochronous       bool
	fullSpeed         bool
	configuration     []byte   // USB configuration descriptor
	stringDescriptors []string // string descriptors by number, the first unused

	mu        sync.Mutex
	link      *redirection // the present connection, or nil
	probe     probe
	priority  byte // 1: pictures may take longer in low light, as from the factory
	stream    stream
	transfers []transfer    // bulk IN transfers that wait for bytes, oldest first
	wake      chan struct{} // a transfer or a new stream came
	faults    Faults
}

// A transfer is a bulk IN request of the host.
type transfer struct {
	id       uint64
	maxBytes int
	// reply is called once with c.mu held, unless cancelTransfer takes the transfer back.
	reply func(data []byte, stall bool)
}

// New returns a bulk camera that shows source.
func New(source Source) *Camera { return Model{}.New(source) }

// New returns a camera of the model that shows source.
func (m Model) New(source Source) *Camera {
	c := &Camera{
		source: source, isochronous: m.Isochronous && !m.FullSpeed, fullSpeed: m.FullSpeed,
		wake: make(chan struct{}, 1), priority: 1,
	}
	c.stringDescriptors = []string{"", "krazycam", cmp.Or(m.Name, "Virtual UVC"), cmp.Or(m.Serial, "0001")}
	c.configuration = configurationDescriptor(source.ListSizes(), c.isochronous, c.packetSize())
	c.settleProbe()
	return c
}

// packetSize is that of a bulk packet in bytes.
func (c *Camera) packetSize() int {
	if c.fullSpeed {
		return fullPacketSize
	}
	return packetSize
}

// settleProbe replaces the fields that the host left open or that the camera cannot fulfil.
func (c *Camera) settleProbe() {
	c.probe.settleFields(c.source.ListSizes())
	if c.isochronous {
		binary.LittleEndian.PutUint32(c.probe[22:], isochronousPayload(c.probe.pixelFormat()))
	}
}

// InjectFaults sets the faults from now on; the zero value heals the camera.
func (c *Camera) InjectFaults(f Faults) {
	c.mu.Lock()
	c.faults = f
	c.mu.Unlock()
	c.wakeFeeder()
}

// Pictures counts the pictures that were due so far, including those for which the host was too
// late. It is also the number of the newest picture.
func (c *Camera) Pictures() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stream.number
}

// wakeFeeder makes feedTransfers look at the transfers again.
func (c *Camera) wakeFeeder() {
	select {
	case c.wake <- struct{}{}:
	default: // a wake-up is pending
	}
}

// queueTransfer queues a bulk IN transfer.
func (c *Camera) queueTransfer(t transfer) {
	c.mu.Lock()
	c.transfers = append(c.transfers, t)
	c.mu.Unlock()
	c.wakeFeeder()
}

// cancelTransfer takes a transfer back and calls then if it was still waiting, with c.mu held as
// for reply, so that the two answers cannot overtake each other: ids are reused.
func (c *Camera) cancelTransfer(id uint64, then func()) {
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

// dropTransfers drops all transfers and the present picture after an unplug.
func (c *Camera) dropTransfers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transfers = nil
	c.stream.dropPicture()
}

// feedTransfers fills transfers until done is closed or the source fails.
func (c *Camera) feedTransfers(done <-chan struct{}) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait, err := c.fillTransfers(time.Now())
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

// fillTransfers answers as many transfers as the pictures that are due at now allow, and returns
// the time until the next call.
func (c *Camera) fillTransfers(now time.Time) (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	faults := c.faults.in(c.probe.pixelFormat())
	for len(c.transfers) > 0 && !faults.Hang {
		if faults.Stall {
			c.answerTransfer(nil, true)
			continue
		}
		if !c.stream.isSending() && !c.stream.isDue(now) {
			// A millisecond at least: timers are no finer on every system.
			return max(c.stream.next.Sub(now), time.Millisecond), nil
		}
		if !c.stream.isSending() {
			if err := c.stream.loadPicture(c.source, c.probe, faults, now); err != nil {
				return 0, err
			}
		}
		c.answerTransfer(c.stream.nextTransfer(c.transfers[0].maxBytes), false)
	}
	return time.Hour, nil // or until wakeFeeder
}

// answerTransfer answers the oldest transfer.
func (c *Camera) answerTransfer(data []byte, stall bool) {
	t := c.transfers[0]
	c.transfers = c.transfers[1:]
	t.reply(data, stall)
}
