// The way of each buffer: wait, drain to the newest valid one, use, give back.

package v4l2

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Next hands the newest valid buffer to use, waiting up to timeout for one. The
// bytes are the driver's own memory: once use returns, the driver overwrites them,
// so use must convert or copy what it wants to keep. An error of use is returned
// as it is.
//
// Errors to branch on: ErrSilent (nothing usable in time; also a hanging camera),
// ErrGone (open it again), ErrClosed.
func (c *Camera) Next(timeout time.Duration, use func(Buffer) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.newest(timeout); err != nil {
		if c.closing.Load() {
			err = ErrClosed
		}
		return fmt.Errorf("camera %s: wait %v for a buffer: %w", c.id.Path, timeout, explainStream(err))
	}
	c.drops.add(delivered)
	useErr := use(Buffer{Bytes: c.held.Bytes, Layout: c.layout, At: c.stamp(), Sequence: c.held.Sequence})
	// Give the buffer back even if use failed: a driver without a queued buffer has
	// nowhere to put the next picture, and Wait would time out for ever.
	if err := c.dev.Requeue(c.held.Index); err != nil {
		err = fmt.Errorf("camera %s: give buffer %d back: %w", c.id.Path, c.held.Index, explainStream(err))
		if useErr != nil {
			err = fmt.Errorf("%w; then %w", useErr, err)
		}
		return err
	}
	return useErr
}

// newest leaves the newest valid buffer in c.held.
//
// What is ready before the first wait may have been lying there for as long as
// the caller was away: once a stall has filled every buffer, the driver drops the new
// pictures, not the old ones (seen: 1.37 s old after a stall of 1.5 s). So that
// drain is checked for age. A single buffer that came while we waited is as fresh as this
// camera can deliver, whatever its clock says, and dropping it could go on for ever.
// Several at once mean that we were not woken in time: then age counts too, but only
// once, for the same reason.
func (c *Camera) newest(timeout time.Duration) error {
	if c.closing.Load() {
		return ErrClosed
	}
	deadline := c.dev.Now() + timeout
	have, _, err := c.drain()
	if have && c.old() {
		have, err = false, c.drop(&c.held, stale)
	}
	for late := false; !have && err == nil; {
		if err = c.dev.Wait(max(0, deadline-c.dev.Now())); err != nil {
			break
		}
		var taken int
		if have, taken, err = c.drain(); have && taken > 1 && !late && c.old() {
			have, late, err = false, true, c.drop(&c.held, stale)
			deadline = c.dev.Now() + timeout // that time was ours, not the camera's
		}
	}
	return err
}

// old tells whether the held buffer is older than two intervals.
func (c *Camera) old() bool { return c.held.At != 0 && c.dev.Now()-c.held.At > 2*c.interval }

// drain takes everything that is ready, says how many buffers that was, and keeps the
// newest valid one. If it returns an error, nothing is held.
func (c *Camera) drain() (have bool, taken int, err error) {
	// The driver refills what we give back; a bound keeps a very fast one from
	// holding us here.
	for taken < 2*bufferCount {
		err = c.dev.Dequeue(&c.got)
		if errors.Is(err, unix.EAGAIN) {
			return have, taken, nil
		}
		if err != nil {
			err = fmt.Errorf("dequeue: %w", err)
			break
		}
		taken++
		why := older
		if !c.sequence.overtaken(c.got.Sequence) {
			c.drops[missing].Add(uint64(c.sequence.missed(c.got.Sequence)))
			why = fault(c.layout, &c.got)
		}
		if why == delivered {
			c.got, c.held = c.held, c.got
			if !have {
				have = true
				continue
			}
			why = older // the one held so far
		}
		if err = c.drop(&c.got, why); err != nil {
			break
		}
	}
	if err != nil && have {
		_ = c.dev.Requeue(c.held.Index) // the first error is the one to report
	}
	return have && err == nil, taken, err
}

// drop counts a buffer and gives it back.
func (c *Camera) drop(f *Filled, why cause) error {
	c.drops.add(why)
	if err := c.dev.Requeue(f.Index); err != nil {
		return fmt.Errorf("give buffer %d back: %w", f.Index, err)
	}
	return nil
}

// stamp is the held buffer's capture time. A driver may stamp the future (vivid does,
// by 12 to 29 ms), and the sender report would then promise pictures that
// nobody has seen yet.
func (c *Camera) stamp() time.Duration {
	now := c.dev.Now()
	switch {
	case c.held.At == 0: // the driver has no monotonic clock
		return now
	case c.held.At > now:
		c.drops.add(future)
		return now
	}
	return c.held.At
}
