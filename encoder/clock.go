// From capture times to libvpx's time stamps. No cgo in here.

//go:build cgo

package encoder

import "time"

// ticksPerSecond is libvpx's time base as we set it, RTP's clock for video.
const ticksPerSecond = 90_000

// maxGapIntervals: a longer gap between two pictures counts as this many intervals.
const maxGapIntervals = 8

// A clock turns capture times into time stamps for libvpx, whose rate control gives a frame the
// bits of the time since the frame before. A camera that slows to 15 fps in the dark must get
// twice the bits for each frame, so the stamps follow the capture times, but not in full:
//
//   - The first picture after a stall of 3 s must not get the bits of 3 s in one burst.
//   - A picture right behind another must not starve. It gets half an interval at least, borrowed
//     from the future. The debt is limited to one interval: otherwise a camera that is always
//     faster than its nominal rate would get more bits than the time allows.
type clock struct {
	interval    int64 // nominal ticks from picture to picture
	started     bool
	lastCapture time.Duration
	elapsed     int64 // ticks between captures summed up, stalls shortened
	stamp       int64 // of the last picture, at most an interval ahead of elapsed
}

func newClock(fps int) clock { return clock{interval: int64(ticksPerSecond / fps)} }

// ticksAt returns the time stamp of a picture captured at the given time. It is always greater
// than the one before.
func (c *clock) ticksAt(capture time.Duration) int64 {
	if !c.started {
		c.started, c.lastCapture = true, capture
		return 0
	}
	gap := ticksOf(capture-c.lastCapture, maxGapIntervals*c.interval)
	c.lastCapture = capture
	c.elapsed += gap
	step := max(gap, 1, c.interval/2)
	c.stamp = max(min(c.stamp+step, c.elapsed+c.interval), c.stamp+1)
	return c.stamp
}

// ticksOf converts a duration to ticks from 0 to limit.
func ticksOf(d time.Duration, limit int64) int64 {
	switch { // compared as durations first: the product below must not overflow
	case d < 0:
		return 0
	case d > time.Minute:
		return limit
	}
	return min((int64(d)*ticksPerSecond+int64(time.Second)/2)/int64(time.Second), limit)
}
