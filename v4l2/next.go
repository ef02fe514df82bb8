// What happens to each buffer: wait, drain to the newest valid one, use, give back.

package v4l2

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Next hands the newest valid buffer to use, waiting up to timeout for one. The bytes are the
// driver's own memory: once use returns, the driver overwrites them, so use must convert or
// copy what it wants to keep. An error of use is returned as it is.
//
// Errors to branch on: ErrSilent (no usable buffer in time; also a hanging camera), ErrGone
// (open it again), ErrResized (look at Layout and go on), ErrClosed.
func (c *Camera) Next(timeout time.Duration, use func(Buffer) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.takeNewest(timeout); err != nil {
		switch {
		case c.closing.Load():
			err = ErrClosed
		case errors.Is(err, ErrResized):
			return fmt.Errorf("camera %s: %w", c.id.Path, err)
		case errors.Is(err, ErrSilent):
			err = c.explainSilence(err)
		}
		return fmt.Errorf("camera %s: wait %v for a buffer: %w", c.id.Path, timeout, explainStreamErrno(err))
	}
	c.counters.countBuffer(delivered)
	useErr := use(Buffer{
		Bytes: c.newest.Bytes, Layout: c.layout, At: c.captureTime(), Sequence: c.newest.Sequence,
	})
	// Give the buffer back even if use failed: a driver without a queued buffer has
	// nowhere to put the next picture, and Wait would time out for ever.
	if err := c.dev.Requeue(c.newest.Index); err != nil {
		err = fmt.Errorf("camera %s: give buffer %d back: %w", c.id.Path, c.newest.Index, explainStreamErrno(err))
		if useErr != nil {
			err = fmt.Errorf("%w; then %w", useErr, err)
		}
		return err
	}
	return useErr
}

// explainSilence says whether buffers came, and what was wrong with them.
func (c *Camera) explainSilence(err error) error {
	var words []string
	for why := damaged; why <= resized; why++ {
		if n := c.counters[why].Load() - c.rejected[why]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, causeNames[why]))
		}
	}
	if len(words) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s", ErrUnusable, strings.Join(words, ", "))
}

// takeNewest leaves the newest valid buffer in c.newest.
//
// A buffer that is ready before the first wait may be as old as the caller's pause was long:
// once a stall has filled every buffer, the driver drops the new pictures, not the old ones
// (seen: 1.37 s old after a stall of 1.5 s). So the age of that one is checked.
//
// A single buffer that came during the wait is as fresh as this camera can deliver, whatever
// its clock says, and dropping it could go on for ever. Several at once mean that this process
// was not woken in time: then age is checked, too, but only once, for the same reason.
func (c *Camera) takeNewest(timeout time.Duration) error {
	if c.closing.Load() {
		return ErrClosed
	}
	for why := damaged; why <= resized; why++ {
		c.rejected[why] = c.counters[why].Load()
	}
	deadline := c.dev.Now() + timeout
	have, _, err := c.drainQueue()
	if have && c.isStale() {
		have, err = false, c.dropBuffer(&c.newest, stale)
	}
	for late := false; !have && err == nil; {
		if err = c.dev.Wait(max(0, deadline-c.dev.Now())); err != nil {
			break
		}
		var taken int
		if have, taken, err = c.drainQueue(); have && taken > 1 && !late && c.isStale() {
			have, late, err = false, true, c.dropBuffer(&c.newest, stale)
			deadline = c.dev.Now() + timeout // this process lost that time, not the camera
		}
		if !have && err == nil {
			err = c.adoptSize()
		}
		if !have && err == nil && c.dev.Now() >= deadline {
			err = ErrSilent // damaged buffers keep coming, and Wait would never say so
		}
	}
	return err
}

// isStale says whether the newest buffer is older than two intervals.
func (c *Camera) isStale() bool {
	return c.newest.At != 0 && c.dev.Now()-c.newest.At > 2*c.interval
}

// drainQueue takes all buffers that are ready, says how many that were, and keeps the newest
// valid one in c.newest. If it returns an error, it keeps none.
func (c *Camera) drainQueue() (have bool, taken int, err error) {
	// The driver refills the buffers that are given back: without a bound, a very fast one
	// would keep this loop running.
	for taken < 2*bufferCount {
		err = c.dev.Dequeue(&c.candidate)
		if errors.Is(err, unix.EAGAIN) {
			return have, taken, nil
		}
		if err != nil {
			err = fmt.Errorf("dequeue: %w", err)
			break
		}
		taken++
		why := older
		if !c.sequence.isOvertaken(c.candidate.Sequence) {
			c.counters[missing].Add(uint64(c.sequence.countMissed(c.candidate.Sequence)))
			why = judgeBuffer(c.layout, &c.candidate)
			c.noteSize(why, c.candidate.Bytes)
		}
		if why == delivered {
			c.candidate, c.newest = c.newest, c.candidate
			if !have {
				have = true
				continue
			}
			why = older // the one that was the newest so far
		}
		if err = c.dropBuffer(&c.candidate, why); err != nil {
			break
		}
	}
	if err != nil && have {
		_ = c.dev.Requeue(c.newest.Index) // the first error is the one to report
	}
	return have && err == nil, taken, err
}

// dropBuffer counts a buffer and gives it back.
func (c *Camera) dropBuffer(f *Filled, why cause) error {
	c.counters.countBuffer(why)
	if err := c.dev.Requeue(f.Index); err != nil {
		return fmt.Errorf("give buffer %d back: %w", f.Index, err)
	}
	return nil
}

// captureTime is the newest buffer's capture time. A driver may put it into the future (vivid
// does, by 12 to 29 ms), and the sender report would then describe pictures that the receiver
// has not seen yet.
func (c *Camera) captureTime() time.Duration {
	now := c.dev.Now()
	switch {
	case c.newest.At == 0: // the driver has no monotonic clock
		return now
	case c.newest.At > now:
		c.counters.countBuffer(future)
		return now
	}
	return c.newest.At
}
