// Package v4l2test plays a capture device for tests: a script of pictures, faults and pauses
// behind the interface v4l2.Driver, with a clock of its own that jumps, so that a stall of a
// minute takes no time.
//
// It has as many buffers as were asked for, and like a driver it fills them whether or not they
// are read: if none is queued, the picture is lost and the sequence shows a gap. At the end of
// the test it reports steps that were never reached, buffers that were not given back, and a
// device that was left running or open.
package v4l2test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// A Step is one event of the script. The zero Step is a picture of no bytes.
type Step struct {
	Buf     []byte        // what the driver fills in; not changed, not kept by the Camera
	After   time.Duration // since the previous step; 0: one interval
	Age     time.Duration // of the time stamp when the buffer is filled; negative: in the future
	NoClock bool          // no time stamp
	Skip    uint32        // sequence numbers left out before this one
	Damaged bool          // the driver's error flag
	Err     error         // instead of a picture: what Dequeue returns, such as unix.ENODEV
	WaitErr error         // instead of a picture: what Wait returns, such as v4l2.ErrGone
	Hang    bool          // instead of a picture: Wait blocks until Interrupt; one in a script
	Repeat  int           // number of times; 0: once
}

// Device is a v4l2.Driver that plays a script. Set the exported fields before it is
// opened.
type Device struct {
	ID            v4l2.Identity
	Formats       []v4l2.Offer
	Layout        pixfmt.Layout // what SetFormat answers; zero: what was asked for
	Interval      time.Duration // what SetInterval answers; 0: what was asked for
	ColoursAnswer v4l2.Colours  // what Colours answers
	// SetFormatErr, SetIntervalErr and StartErr are the results of the first calls, in order; every
	// later call succeeds.
	SetFormatErr, SetIntervalErr, StartErr []error
	CallTime                               time.Duration // that each failing call takes
	RequeueErr                             error         // of every Requeue
	// WaitDelays are the times by which the first Waits return later than their buffers, in
	// order, as if the whole process had been stopped.
	WaitDelays    []time.Duration
	ControlList   []v4l2.Control
	SetLog        []string // what was set, as "name=value", in order
	SetControlErr []error  // the answers to the first calls, in order

	t     testing.TB
	steps []Step
	stop  chan struct{} // closed by Interrupt
	once  sync.Once
	hangs chan struct{} // closed once a Wait hangs

	now      time.Duration
	due      time.Duration // of the first step
	layout   pixfmt.Layout
	interval time.Duration
	started  bool
	closed   bool
	sequence uint32
	buffers  []buffer
	ready    []uint32 // filled, oldest first
	waitErr  error
	err      error
}

type buffer struct {
	state  state
	memory []byte
	filled v4l2.Filled
}

type state int

const (
	queued state = iota
	filled
	dequeued // with the Camera
)

// clockStart is the clock's first time: not 0, which means "no time stamp".
const clockStart = time.Hour

// New returns a device that offers YUYV and MJPG at 320x240 and 640x480, 30/s, and plays steps
// once it is started.
func New(t testing.TB, steps ...Step) *Device {
	interval := []time.Duration{time.Second / 30}
	sizes := []v4l2.Size{
		{Width: 640, Height: 480, MinWidth: 640, MinHeight: 480, Intervals: interval},
		{Width: 320, Height: 240, MinWidth: 320, MinHeight: 240, Intervals: interval},
	}
	d := &Device{
		ID:      v4l2.Identity{Path: "/dev/video0", Name: "Scripted", Bus: "usb-test-1", Driver: "v4l2test"},
		Formats: []v4l2.Offer{{Format: pixfmt.MJPG, Sizes: sizes}, {Format: pixfmt.YUYV, Sizes: sizes}},
		t:       t,
		steps:   steps,
		stop:    make(chan struct{}),
		hangs:   make(chan struct{}),
		now:     clockStart,
	}
	t.Cleanup(d.reportLeftovers)
	return d
}

// reportLeftovers fails the test at its end if anything was left over.
func (d *Device) reportLeftovers() {
	d.t.Helper()
	if len(d.steps) > 0 && !d.t.Failed() {
		d.t.Errorf("v4l2test: %d steps were never reached, the first: %+v", len(d.steps), d.steps[0])
	}
	if d.started {
		d.t.Error("v4l2test: the stream was never stopped")
	}
	if !d.closed {
		d.t.Error("v4l2test: the device was never closed")
	}
}

// Advance lets time pass without a call, as a busy consumer does.
func (d *Device) Advance(by time.Duration) { d.advance(d.now + by) }

// Hanging is closed once a Wait has reached a step that hangs.
func (d *Device) Hanging() <-chan struct{} { return d.hangs }

// Identity returns ID.
func (d *Device) Identity() v4l2.Identity { return d.ID }

// ListOffers returns Formats.
func (d *Device) ListOffers() ([]v4l2.Offer, error) { return d.Formats, nil }

// Now returns the time of the script's clock.
func (d *Device) Now() time.Duration { return d.now }

// SetFormat answers with Layout, or with what was asked for.
func (d *Device) SetFormat(f pixfmt.FourCC, width, height int) (pixfmt.Layout, error) {
	if d.started {
		return pixfmt.Layout{}, unix.EBUSY
	}
	if err := d.nextCall(&d.SetFormatErr); err != nil {
		return pixfmt.Layout{}, err
	}
	d.layout = d.Layout
	if d.layout == (pixfmt.Layout{}) {
		d.layout, _ = pixfmt.New(f, width, height, 0) // the Camera refuses a wrong one
	}
	return d.layout, nil
}

// Colours returns ColoursAnswer.
func (d *Device) Colours() v4l2.Colours { return d.ColoursAnswer }

// SetInterval answers with Interval, or with what was asked for.
func (d *Device) SetInterval(asked time.Duration) (time.Duration, error) {
	if err := d.nextCall(&d.SetIntervalErr); err != nil {
		return 0, err
	}
	d.interval = asked
	if d.Interval > 0 {
		d.interval = d.Interval
	}
	return d.interval, nil
}

// ListControls returns ControlList.
func (d *Device) ListControls() ([]v4l2.Control, error) { return d.ControlList, nil }

// SetControl adds the name and value to SetLog.
func (d *Device) SetControl(id uint32, value int64) error {
	for _, k := range d.ControlList {
		if k.ID == id {
			if err := nextAnswer(&d.SetControlErr); err != nil {
				return err
			}
			d.SetLog = append(d.SetLog, fmt.Sprintf("%s=%d", k.Name, value))
			return nil
		}
	}
	return unix.EINVAL
}

// Start queues n buffers and starts the script.
func (d *Device) Start(n int) error {
	if d.started {
		d.t.Error("v4l2test: started twice")
	}
	if err := d.nextCall(&d.StartErr); err != nil {
		return err
	}
	d.buffers = make([]buffer, n)
	for i := range d.buffers {
		d.buffers[i].memory = make([]byte, d.layout.Size)
	}
	d.ready = make([]uint32, 0, n)
	d.started = true
	d.due = d.now + d.stepDelay()
	return nil
}

// Stop ends the stream and reports buffers that were not given back.
func (d *Device) Stop() error {
	for i := range d.buffers {
		if d.buffers[i].state == dequeued {
			d.t.Errorf("v4l2test: buffer %d was never given back", i)
		}
	}
	d.started, d.buffers, d.ready = false, nil, d.ready[:0]
	return nil
}

// Close closes the device.
func (d *Device) Close() error {
	if d.closed {
		d.t.Error("v4l2test: closed twice")
	}
	d.closed = true
	return nil
}

// Interrupt ends a hanging Wait and every later one.
func (d *Device) Interrupt() { d.once.Do(func() { close(d.stop) }) }

// nextCall is nextAnswer for a call that takes CallTime if it fails.
func (d *Device) nextCall(answers *[]error) error {
	err := nextAnswer(answers)
	if err != nil {
		d.now += d.CallTime
	}
	return err
}

// nextAnswer removes and returns the first of a list of answers; nil if there are no more.
func nextAnswer(answers *[]error) error {
	if len(*answers) == 0 {
		return nil
	}
	err := (*answers)[0]
	*answers = (*answers)[1:]
	return err
}
