// The script runs: time moves on, buffers fill, faults come due.

package v4l2test

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2"
)

// Wait lets the clock jump to the next step that gives Dequeue or Wait something to
// say, or by timeout if there is none.
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
			d.next()
			close(d.hangs)
			<-d.stop
			return v4l2.ErrClosed
		}
		d.advance(d.due)
	}
	if len(d.Late) > 0 {
		d.advance(d.now + d.Late[0])
		d.Late = d.Late[1:]
	}
	return d.waitErr
}

// Dequeue gives the oldest filled buffer out.
func (d *Device) Dequeue(f *v4l2.Filled) error {
	switch {
	case len(d.ready) > 0:
		b := &d.buffers[d.ready[0]]
		d.ready = d.ready[:copy(d.ready, d.ready[1:])]
		b.state = outside
		*f = b.filled
		return nil
	case d.err != nil:
		return d.err
	}
	return unix.EAGAIN
}

// Requeue takes a buffer back. It complains about one that it has not given out.
func (d *Device) Requeue(index uint32) error {
	if int(index) >= len(d.buffers) || d.buffers[index].state != outside {
		d.t.Errorf("v4l2test: buffer %d was given back but is not outside", index)
		return unix.EINVAL
	}
	b := &d.buffers[index]
	b.state = queued
	clear(b.memory) // whoever still reads it shall notice
	return d.RequeueErr
}

// advance plays every step that is due until then.
func (d *Device) advance(until time.Duration) {
	for d.started && len(d.steps) > 0 && d.due <= until && !d.steps[0].Hang {
		d.now = max(d.now, d.due)
		d.play(&d.steps[0])
		d.next()
	}
	d.now = max(d.now, until)
}

// play does what a step says at its time.
func (d *Device) play(s *Step) {
	switch {
	case s.Err != nil:
		d.err = s.Err
	case s.WaitErr != nil:
		d.waitErr = s.WaitErr
	default:
		d.fill(s)
	}
}

// fill puts a picture into the first queued buffer, or loses it.
func (d *Device) fill(s *Step) {
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

// next goes on to the following step.
func (d *Device) next() {
	if d.steps[0].Repeat > 1 {
		d.steps[0].Repeat--
	} else {
		d.steps = d.steps[1:]
	}
	d.due += d.after()
}

// after is the pause before the first step.
func (d *Device) after() time.Duration {
	if len(d.steps) > 0 && d.steps[0].After > 0 {
		return d.steps[0].After
	}
	return d.interval
}
