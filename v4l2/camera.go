// Camera: opening, negotiating, closing. next.go has the way of each buffer.
// Without hardware: v4l2test plays the Driver.

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

// What Open takes where a Request says 0.
const (
	DefaultWidth  = 640
	DefaultHeight = 480
	DefaultFPS    = 30
)

// bufferCount is how many buffers the driver gets: one being filled, one ready, one
// in use's hands, one to spare for a late consumer. The library's 256 would let a
// stall queue up seconds of old pictures.
const bufferCount = 4

// A Request says which camera is wanted and what it should deliver. Zero fields
// leave the choice to Open. Size and rate are wishes: Layout and Interval say
// what the driver made of them.
type Request struct {
	Device        string // "", /dev/video0, video0, part of the card's name, serial number or USB port
	Width, Height int    // pixels
	FPS           int
	Format        pixfmt.FourCC // 0: Choose decides
	RawRate       int           // bytes/s of uncompressed pictures that the bus is trusted with; 0: what USB 2 is
	// Controls are set at each opening: by name as in ControlName, a switch is 0 or 1, a
	// menu the number of its entry. What cannot be set is no error, see Complaints.
	Controls map[string]int64
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

	complaints []string

	closing atomic.Bool
	drops   counters

	mu       sync.Mutex // one Next at a time; Close waits for it
	got      Filled     // the one being looked at, here because it would escape
	held     Filled     // the newest valid one, ours until Requeue
	sequence sequence
}

// Open opens the camera that r names, negotiates and starts the stream. Branch on
// ErrNoCamera, ErrBusy, ErrNotCapture and fs.ErrPermission.
func Open(r Request) (*Camera, error) {
	path, err := find(r.Device)
	if err != nil {
		if r.Device == "" { // any would have done
			return nil, err
		}
		return nil, fmt.Errorf("camera named %q: %w", r.Device, err)
	}
	node, err := openNode(path)
	if err != nil {
		return nil, fmt.Errorf("camera %s: %w", path, explain(err))
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
		return nil, fmt.Errorf("camera %s (%s): %w", c.id.Path, c.id.Name, explain(err))
	}
	c.complaints = applyControls(d, r.Controls)
	return c, nil
}

// negotiate tries the ranked choices until one runs. It goes on to the next only
// if the bus has no room for one (ENOSPC: other devices have reserved it) or the
// driver turned it into something that we cannot read.
func (c *Camera) negotiate(r Request) error {
	offers, err := c.dev.Offers()
	if err != nil {
		return fmt.Errorf("list formats: %w", err)
	}
	choices := Choose(r, offers)
	err = fmt.Errorf("%w: it offers none of YUYV, UYVY, NV12, YU12, MJPG", ErrNotCapture)
	if r.Format != 0 {
		err = fmt.Errorf("format %v: it does not offer that", r.Format)
	}
	passed := "" // over the first choice, which is what an owner wonders about
	for _, choice := range choices {
		if err = c.start(choice); err == nil {
			c.choice.Why += passed
			return nil
		}
		if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, errLayout) {
			return err
		}
		if passed == "" {
			passed = "; instead of " + passedOver(choice, err)
		}
	}
	return err
}

// passedOver says in a person's words why a choice did not run.
func passedOver(c Choice, err error) string {
	words := fmt.Sprintf("%v %dx%d, ", c.Format, c.Width, c.Height)
	if errors.Is(err, unix.ENOSPC) {
		return words + "for which the bus has no room beside what else is on it"
	}
	return words + "which the driver does not give"
}

// errLayout is the cause when the driver's answer to SetFormat is of no use.
var errLayout = errors.New("the driver answered with another format")

func (c *Camera) start(choice Choice) error {
	layout, err := c.dev.SetFormat(choice.Format, choice.Width, choice.Height)
	if err != nil {
		return fmt.Errorf("set %v %dx%d: %w", choice.Format, choice.Width, choice.Height, err)
	}
	if layout.Format != choice.Format {
		return fmt.Errorf("set %v %dx%d: %w: %v", choice.Format, choice.Width, choice.Height, errLayout, layout)
	}
	if err := layout.Check(); err != nil {
		return fmt.Errorf("set %v %dx%d: %w: %w", choice.Format, choice.Width, choice.Height, errLayout, err)
	}
	interval, err := c.dev.SetInterval(choice.Interval)
	if err != nil {
		return fmt.Errorf("set %v between pictures: %w", choice.Interval, err)
	}
	if interval <= 0 {
		interval = choice.Interval
	}
	if err := c.dev.Start(bufferCount); err != nil {
		return fmt.Errorf("start %v: %w", layout, err)
	}
	c.choice, c.layout, c.interval = choice, layout, interval
	return nil
}

// Close stops the stream and gives the device back. It interrupts a waiting Next,
// which returns ErrClosed, and waits for a use that is still at work: do not call
// it from within use. Only the first call does anything.
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

// withoutGone drops the complaint that an unplugged camera cannot be stopped: the
// kernel has done it.
func withoutGone(err error) error {
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// Layout is what the driver delivers; it does not change while the camera is open.
func (c *Camera) Layout() pixfmt.Layout { return c.layout }

// Interval is the nominal time between two pictures, as the driver says it. In low
// light many cameras take longer.
func (c *Camera) Interval() time.Duration { return c.interval }

// Identity says which camera it is.
func (c *Camera) Identity() Identity { return c.id }

// Why says in a person's words why this format, size and rate was chosen.
func (c *Camera) Why() string { return c.choice.Why }

// Colours is what the samples mean, as the driver says it.
func (c *Camera) Colours() Colours { return c.dev.Colours() }

// Complaints are one sentence for each control that could not be set.
func (c *Camera) Complaints() []string { return c.complaints }

// Counters is what was delivered and what was not, since Open.
func (c *Camera) Counters() Counters { return c.drops.read() }

// String is a person's words: "Virtual UVC /dev/video0 MJPG 640x480 30 fps".
func (c *Camera) String() string {
	return fmt.Sprintf("%s %s %v %s", c.id.Name, c.id.Path, c.layout, rate(c.interval))
}

// rate words an interval: "30 fps", "29.97 fps".
func rate(interval time.Duration) string {
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
