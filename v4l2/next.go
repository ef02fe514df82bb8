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
// drain is checked for age. A buffer that came while we waited is as fresh as this
// camera can deliver, whatever its clock says, and dropping it could go on for ever.
func (c *Camera) newest(timeout time.Duration) error {
	if c.closing.Load() {
		return ErrClosed
	}
	deadline := c.dev.Now() + timeout
	have, err := c.drain()
	if have && c.held.At != 0 && c.dev.Now()-c.held.At > 2*c.interval {
		have, err = false, c.drop(&c.held, stale)
	}
	for !have && err == nil {
		if err = c.dev.Wait(max(0, deadline-c.dev.Now())); err != nil {
			break
		}
		have, err = c.drain()
	}
	return err
}

// drain takes everything that is ready and keeps the newest valid buffer. If it
// returns an error, nothing is held.
func (c *Camera) drain() (have bool, err error) {
	// The driver refills what we give back; a bound keeps a very fast one from
	// holding us here.
	for range 2 * bufferCount {
		err = c.dev.Dequeue(&c.got)
		if errors.Is(err, unix.EAGAIN) {
			return have, nil
		}
		if err != nil {
			err = fmt.Errorf("dequeue: %w", err)
			break
		}
		if c.sequence.overtaken(c.got.Sequence) {
			if err = c.drop(&c.got, older); err != nil {
				break
			}
			continue
		}
		c.drops[missing].Add(uint64(c.sequence.missed(c.got.Sequence)))
		if why := fault(c.layout, &c.got); why != delivered {
			if err = c.drop(&c.got, why); err != nil {
				break
			}
			continue
		}
		c.got, c.held = c.held, c.got
		if have {
			if err = c.drop(&c.got, older); err != nil {
				break
			}
		}
		have = true
	}
	if err != nil && have {
		_ = c.dev.Requeue(c.held.Index) // the first error is the one to report
	}
	return have && err == nil, err
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
