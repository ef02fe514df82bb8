// Camera: open, negotiate, close. next.go delivers the buffers. Without hardware: v4l2test
// plays the Driver.

package v4l2

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/usb"
)

// What Open uses where a Request says 0.
const (
	DefaultWidth  = 640
	DefaultHeight = 480
	DefaultFPS    = 30
)

// bufferCount is how many buffers the driver gets: one that it fills, one that is ready, one
// that use reads, one to spare for a late consumer. The library's 256 would let a stall queue
// up seconds of old pictures.
const bufferCount = 4

// A Request says which camera is wanted and what it should deliver. Zero fields leave the
// choice to Open. A driver may deliver another size and rate than requested: Camera.Layout
// and Camera.Interval say which.
type Request struct {
	Device        string // "", /dev/video0, video0, part of the card's name, serial number or USB port
	Width, Height int    // pixels
	FPS           int
	Format        pixfmt.FourCC // preferred; 0: Choose decides
	RawRate       int           // bytes/s of uncompressed pictures that the bus is trusted with; 0: what USB 2 is
	// Controls are set whenever the camera is opened. The key is a name as from ControlName;
	// the value of a switch is 0 or 1, that of a menu the number of its entry. A control that
	// cannot be set is no error, see Complaints.
	Controls map[string]int64
	// Modes is what earlier Opens learned of this camera, and is told what this one learns; nil:
	// nothing is remembered.
	Modes *Modes
}

// A Buffer is a picture as its source delivers it. Its Bytes belong to the source and
// are valid only until the function that Next called with it returns.
type Buffer struct {
	Bytes    []byte
	Layout   pixfmt.Layout
	At       time.Duration // CLOCK_MONOTONIC, start of exposure; a camera's is never in the future
	Sequence uint32        // counts the pictures of the source, gaps included
}

// A Camera is a running stream of buffers. Next and Close may be called by
// different goroutines.
type Camera struct {
	dev      Driver
	id       Identity
	choice   Choice
	layout   pixfmt.Layout
	interval time.Duration
	ranked   []Choice    // all of them, the best first
	fallback string      // see Fallback
	record   *modeRecord // of this camera, in the Request's Modes

	complaints []string

	closing  atomic.Bool
	counters counters

	mu        sync.Mutex // one Next at a time; Close waits for it
	candidate Filled     // the one being judged, here because a local one would escape
	newest    Filled     // the newest valid one, ours until Requeue
	sequence  sequence
	otherSize otherSize
	rejected  [causes]uint64 // the counters when the present Next began
}

// Open opens the camera that r names, negotiates and starts the stream. Branch on
// ErrNoCamera, ErrBusy, ErrNotCapture, ErrModesLeft, fs.ErrPermission and *NoModeError.
func Open(r Request) (*Camera, error) {
	path, err := findNode(r.Device)
	if err != nil {
		if r.Device == "" { // any camera would have been right
			return nil, err
		}
		return nil, fmt.Errorf("camera named %q: %w", r.Device, err)
	}
	node, err := openNode(path)
	if err != nil {
		return nil, fmt.Errorf("camera %s: %w", path, explainErrno(err))
	}
	node.id.Port, node.id.Serial = usb.Identify(os.DirFS(sysfs), filepath.Base(path))
	return OpenDriver(node, r)
}

// OpenDriver negotiates and starts d, whatever r.Device says. It owns d from then on
// and closes it if it fails.
func OpenDriver(d Driver, r Request) (*Camera, error) {
	c := &Camera{dev: d, id: d.Identity()}
	if err := c.negotiate(r); err != nil {
		_ = d.Close() // the first error is the one to report
		var none *NoModeError
		// These have their words; the errno of their last mode would mislead.
		if !errors.As(err, &none) && !errors.Is(err, ErrModesLeft) {
			err = explainErrno(err)
		}
		return nil, fmt.Errorf("camera %s (%s): %w", c.id.Path, c.id.Name, err)
	}
	c.complaints = applyControls(d, r.Controls)
	return c, nil
}

// Close stops the stream and closes the device. It interrupts a waiting Next, which returns
// ErrClosed, and waits until a running use has returned: do not call it from within use. Only
// the first call does anything.
func (c *Camera) Close() error {
	if c.closing.Swap(true) {
		return nil
	}
	c.dev.Interrupt()
	c.mu.Lock()
	defer c.mu.Unlock()
	stopErr, closeErr := withoutGone(c.dev.Stop()), c.dev.Close()
	if err := cmp.Or(stopErr, closeErr); err != nil {
		return fmt.Errorf("camera %s: close: %w", c.id.Path, err)
	}
	return nil
}

// withoutGone drops the error of stopping an unplugged camera: the kernel has stopped it.
func withoutGone(err error) error {
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// Layout is that of every buffer. It changes while the camera is open only where Next returned
// ErrResized, and is for the goroutine that calls Next.
func (c *Camera) Layout() pixfmt.Layout { return c.layout }

// Interval is the nominal time between two pictures, as the driver says it. In low
// light many cameras take longer.
func (c *Camera) Interval() time.Duration { return c.interval }

// Identity says which camera it is.
func (c *Camera) Identity() Identity { return c.id }

// ExplainChoice says for an owner why this format, size and rate was chosen.
func (c *Camera) ExplainChoice() string { return c.choice.Why + c.fallback }

// Fallback says for an owner instead of which better mode the present one runs, and why, as the
// end of a sentence; "" if it is the best.
func (c *Camera) Fallback() string { return c.fallback }

// Colours says how samples stand for colours, as the driver reports it.
func (c *Camera) Colours() Colours { return c.dev.Colours() }

// Complaints has one sentence for each control that could not be set.
func (c *Camera) Complaints() []string { return c.complaints }

// Counters counts what was delivered and what was dropped, since Open.
func (c *Camera) Counters() Counters { return c.counters.snapshot() }

// String returns, for example, "Virtual UVC /dev/video0 MJPG 640x480 30 fps".
func (c *Camera) String() string {
	return fmt.Sprintf("%s %s %v %s", c.id.Name, c.id.Path, c.layout, formatRate(c.interval))
}

// formatRate writes an interval as a rate: "30 fps", "29.97 fps".
func formatRate(interval time.Duration) string {
	return fmt.Sprintf("%.4g fps", 1/interval.Seconds())
}

func (r Request) withDefaults() Request {
	if r.Width <= 0 || r.Height <= 0 {
		r.Width, r.Height = DefaultWidth, DefaultHeight
	}
	if r.FPS <= 0 {
		r.FPS = DefaultFPS
	}
	if r.RawRate <= 0 {
		r.RawRate = maxRawRate
	}
	return r
}
