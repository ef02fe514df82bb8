// The running script: the clock advances, buffers are filled, faults happen.

package v4l2test

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2"
)

// Wait lets the clock jump to the next step that gives Dequeue or Wait a result, or by timeout if
// there is none.
func (d *Device) Wait(timeout time.Duration) error {
	select {
	case <-d.stop:
		return v4l2.ErrClosed
	default:
	}
	deadline := d.now + timeout
	for len(d.ready) == 0 && d.err == nil && d.waitErr == nil {
		if len(d.steps) == 0 || d.due > deadline {
			d.now = max(d.now, deadline)
			return v4l2.ErrSilent
		}
		if d.steps[0].Hang {
			d.finishStep()
			close(d.hangs)
			<-d.stop
			return v4l2.ErrClosed
		}
		d.advance(d.due)
	}
	if len(d.WaitDelays) > 0 {
		d.advance(d.now + d.WaitDelays[0])
		d.WaitDelays = d.WaitDelays[1:]
	}
	return d.waitErr
}

// Dequeue returns the oldest filled buffer.
func (d *Device) Dequeue(f *v4l2.Filled) error {
	switch {
	case len(d.ready) > 0:
		b := &d.buffers[d.ready[0]]
		d.ready = d.ready[:copy(d.ready, d.ready[1:])]
		b.state = dequeued
		*f = b.filled
		return nil
	case d.err != nil:
		return d.err
	}
	return unix.EAGAIN
}

// Requeue takes a buffer back. It reports one that was not dequeued.
func (d *Device) Requeue(index uint32) error {
	if int(index) >= len(d.buffers) || d.buffers[index].state != dequeued {
		d.t.Errorf("v4l2test: buffer %d was given back but is not outside", index)
		return unix.EINVAL
	}
	b := &d.buffers[index]
	b.state = queued
	clear(b.memory) // so that a late reader notices
	return d.RequeueErr
}

// advance plays every step that is due until then.
func (d *Device) advance(until time.Duration) {
	for d.started && len(d.steps) > 0 && d.due <= until && !d.steps[0].Hang {
		d.now = max(d.now, d.due)
		d.playStep(&d.steps[0])
		d.finishStep()
	}
	d.now = max(d.now, until)
}

// playStep does what a step says at its time.
func (d *Device) playStep(s *Step) {
	switch {
	case s.Err != nil:
		d.err = s.Err
	case s.WaitErr != nil:
		d.waitErr = s.WaitErr
	default:
		d.fillBuffer(s)
	}
}

// fillBuffer puts a picture into the first queued buffer, or loses it.
func (d *Device) fillBuffer(s *Step) {
	sequence := d.sequence + s.Skip
	d.sequence = sequence + 1
	for i := range d.buffers {
		b := &d.buffers[i]
		if b.state != queued {
			continue
		}
		b.state = filled
		b.filled = v4l2.Filled{
			Index:    uint32(i),
			Bytes:    b.memory[:copy(b.memory, s.Buf)],
			At:       d.now - s.Age,
			Sequence: sequence,
			Damaged:  s.Damaged,
		}
		if s.NoClock {
			b.filled.At = 0
		}
		d.ready = append(d.ready, uint32(i))
		return
	}
}

// finishStep moves on to the following step.
func (d *Device) finishStep() {
	if d.steps[0].Repeat > 1 {
		d.steps[0].Repeat--
	} else {
		d.steps = d.steps[1:]
	}
	d.due += d.stepDelay()
}

// stepDelay is the pause before the first of the remaining steps.
func (d *Device) stepDelay() time.Duration {
	if len(d.steps) > 0 && d.steps[0].After > 0 {
		return d.steps[0].After
	}
	return d.interval
}
