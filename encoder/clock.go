// From capture times to libvpx's time stamps. No cgo in here.

//go:build cgo

package encoder

import "time"

// tickRate is libvpx's time base as we set it, RTP's clock for video.
const tickRate = 90_000

// A clock counts ticks so that rate control sees a real but tame frame rate. libvpx
// gives a frame the bits of the time since the one before: a camera that slows to
// 15 fps in the dark must get twice the bits for each frame, but the first picture
// after a stall of three seconds must not get three seconds' worth in one burst,
// and one that comes right behind another must not starve. What such a one borrows
// is bounded: of a camera that always is faster than it said, each picture would
// otherwise get more time, and bits, than there is.
type clock struct {
	nominal int64 // ticks from picture to picture
	started bool
	last    time.Duration
	real    int64 // ticks that passed, stalls shortened
	now     int64 // at most a nominal interval ahead of real
}

func newClock(fps int) clock { return clock{nominal: int64(tickRate / fps)} }

// ticks gives the time stamp of a picture captured at the given time, always
// greater than the one before: by half a nominal interval at least, unless that was
// borrowed already, and eight at most.
func (c *clock) ticks(at time.Duration) int64 {
	if !c.started {
		c.started, c.last = true, at
		return 0
	}
	least, most := max(1, c.nominal/2), 8*c.nominal
	gap := at - c.last
	c.last = at
	passed := int64(0)
	switch { // compared as durations first: the product below must not overflow
	case gap < 0:
	case gap > time.Minute:
		passed = most
	default:
		passed = min((int64(gap)*tickRate+int64(time.Second)/2)/int64(time.Second), most)
	}
	c.real += passed
	c.now = max(min(c.now+max(passed, least), c.real+c.nominal), c.now+1)
	return c.now
}
