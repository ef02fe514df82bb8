// The seam between a Camera and a device: the kernel's (node.go) or a script's
// (v4l2test).

package v4l2

import (
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// A Driver is what a Camera needs of a capture device. Errors of the kernel are returned as
// they are (unix.EBUSY and so on, wrapped or not); the Camera explains them. All methods but
// Interrupt are called by one goroutine at a time.
type Driver interface {
	Identity() Identity
	ListOffers() ([]Offer, error)
	// SetFormat asks for a format and size and returns what the driver took instead.
	SetFormat(f pixfmt.FourCC, width, height int) (pixfmt.Layout, error)
	// Colours is what the driver reported for the format that it took.
	Colours() Colours
	// SetInterval asks for a time between pictures and returns the one that the driver
	// took, 0 if it does not report it.
	SetInterval(time.Duration) (time.Duration, error)
	// ListControls lists what can be set, by ascending ID.
	ListControls() ([]Control, error)
	SetControl(id uint32, value int64) error
	// Start allocates and queues about n buffers and starts the stream. If it fails, it has
	// undone everything, so that a later SetFormat is not EBUSY.
	Start(n int) error
	// Dequeue takes a filled buffer, or returns unix.EAGAIN at once if there is none.
	Dequeue(*Filled) error
	// Requeue gives a buffer back to be filled again.
	Requeue(index uint32) error
	// Wait blocks until Dequeue has a buffer (nil), the time is over (ErrSilent), the device
	// is gone (ErrGone) or Interrupt was called (ErrClosed).
	Wait(timeout time.Duration) error
	// Interrupt ends this and every later Wait; any goroutine may call it.
	Interrupt()
	// Stop undoes Start, in an order that leaves the device free for other programs.
	Stop() error
	Close() error
	// Now is the clock of Filled.At.
	Now() time.Duration
}

// Identity says which camera it is.
type Identity struct {
	Path   string `json:"path"`             // /dev/video0
	Name   string `json:"name"`             // the card's name
	Bus    string `json:"bus"`              // where it is plugged in: usb-0000:01:00.0-1.2
	Driver string `json:"driver"`           // uvcvideo
	Port   string `json:"port,omitempty"`   // of the USB device, as sysfs names it: 1-1.2
	Serial string `json:"serial,omitempty"` // of the USB device; many have none, or all have the same
}

// Filled is a buffer that Dequeue returned; it must go back with Requeue.
type Filled struct {
	Index    uint32
	Bytes    []byte        // the filled part of the driver's memory
	At       time.Duration // start of exposure; 0 if the driver has no monotonic clock
	Sequence uint32
	Damaged  bool // the driver's own error flag
}
