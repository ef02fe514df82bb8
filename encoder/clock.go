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
// and one that comes right behind another must not starve.
type clock struct {
	nominal int64 // ticks from picture to picture
	started bool
	last    time.Duration
	now     int64
}

func newClock(fps int) clock { return clock{nominal: int64(tickRate / fps)} }

// ticks gives the time stamp of a picture captured at the given time, always
// greater than the one before: by half a nominal interval at least and eight at
// most.
func (c *clock) ticks(at time.Duration) int64 {
	if !c.started {
		c.started, c.last = true, at
		return 0
	}
	least, most := max(1, c.nominal/2), 8*c.nominal
	gap := at - c.last
	c.last = at
	switch { // compared as durations first: the product below must not overflow
	case gap < 0:
		c.now += least
	case gap > time.Minute:
		c.now += most
	default:
		c.now += min(max((int64(gap)*tickRate+int64(time.Second)/2)/int64(time.Second), least), most)
	}
	return c.now
}
