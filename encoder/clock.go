// From capture times to libvpx's spans of time. No cgo in here.

//go:build cgo

package encoder

import "time"

// ticksPerSecond is libvpx's time base as we set it, RTP's clock for video.
const ticksPerSecond = 90_000

// maxGapIntervals: a longer gap between two pictures counts as this many intervals.
const maxGapIntervals = 8

// A clock turns capture times into spans of time for libvpx, whose rate control gives a frame the
// bits of its span. A camera that slows to 15 fps in the dark, or a busy board that leaves out
// every second picture, must get twice the bits for each frame and no more bits in all. So the
// spans follow the capture times, one behind the other, but not in full:
//
//   - The first picture after a stall of 3 s must not get the bits of 3 s in one burst.
//   - A picture right behind another must not starve. It gets half an interval at least, borrowed
//     from the future. The debt is limited to one interval: otherwise a camera that is always
//     faster than its nominal rate would get more bits than the time allows.
//
// A frame's span must be all of the time since the frame before. libvpx compares it with the last
// one: told the nominal length of every frame, it took a gap for a frame rate that had changed, saw
// nothing when the rate was as before again, and gave the frames of the next second the bits of
// half the frame rate (vp8/encoder/onyx_if.c, vp8_get_compressed_data).
type clock struct {
	interval    int64 // nominal ticks from picture to picture
	started     bool
	lastCapture time.Duration
	elapsed     int64 // ticks between captures summed up, stalls shortened
	stamp       int64 // of the last picture, at most an interval ahead of elapsed
	lead        int64 // a span's end is this much behind the picture's stamp
	end         int64 // of the last span
}

func newClock(fps int) clock { return clock{interval: int64(ticksPerSecond / fps)} }

// spanOf returns the start and the length in ticks of the span of a picture captured at the given
// time. It starts where the span before ended, and is never empty.
func (c *clock) spanOf(capture time.Duration) (start, length int64) {
	if !c.started {
		c.started, c.lastCapture = true, capture
		c.lead, c.end = c.interval, c.interval
		return 0, c.interval
	}
	gap := ticksOf(capture-c.lastCapture, maxGapIntervals*c.interval)
	c.lastCapture = capture
	c.elapsed += gap
	step := max(gap, 1, c.interval/2)
	c.stamp = max(min(c.stamp+step, c.elapsed+c.interval), c.stamp+1)
	start, c.end = c.end, c.stamp+c.lead
	return start, c.end - start
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
