// When the next packet may leave. Pure: time is passed in.

package rtpsend

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

const (
	// paceFactor is how much faster than the mean packets leave: a frame of three
	// times the mean size still leaves within its own interval at 2.5, without the
	// bursts of line speed that overflow the short queues of access points.
	paceFactor = 2.5

	// freely is how much of the mean frame leaves at once: a frame of a quiet scene
	// is between half and twice the mean, and to delay it would be latency for
	// nothing.
	freely = 2

	// spread is the part of the interval that the largest frame takes, so that timers
	// that fire late do not push it into the next one, which finds room again.
	spread = 0.75

	// usualFPS stands in for the camera's rate in the mean frame's size.
	usualFPS = 30

	// longestSpread is the most that a frame is delayed: at 5 frames a second, as
	// in the dark, nobody gains by the 200 ms of a whole interval.
	longestSpread = 50 * time.Millisecond
)

// A pacer spreads frames that are larger than others, key frames above all, over at
// most one frame interval. The interval is that of the capture times.
type pacer struct {
	bucket          // of the packets that may leave now; depth is the largest burst
	pace    float64 // bytes a second; bucket.rate is higher while that would take too long
	last    time.Duration
	started bool
	off     bool // everything leaves at once
}

// newPacer makes a pacer for a stream of bandwidth bit/s.
func newPacer(bandwidth int, off bool) pacer {
	mean := float64(bandwidth) / 8 / usualFPS
	pace := float64(bandwidth) / 8 * paceFactor
	return pacer{bucket: fullBucket(pace, max(freely*mean, 2*packet.MaxSize)), pace: pace, off: off}
}

// steer makes the pace that of a stream of bandwidth bit/s from now on.
func (p *pacer) steer(now time.Duration, bandwidth int) {
	fresh := newPacer(bandwidth, p.off)
	p.fill(now)
	p.pace, p.rate, p.depth = fresh.pace, fresh.pace, fresh.depth
	p.level = min(p.level, p.depth)
}

// frame notes at now that a frame captured at captured was queued, and queued bytes
// wait now, it included.
func (p *pacer) frame(now, captured time.Duration, queued int) {
	interval := time.Second / usualFPS
	if p.started {
		interval = min(max(captured-p.last, 0), longestSpread)
	}
	p.last, p.started = captured, true
	p.fill(now)
	p.rate = p.pace
	rest := float64(queued) - p.level
	switch {
	case rest <= 0:
	case interval == 0: // two frames of one moment: the first has no time left
		p.level = max(p.level, float64(queued))
	default:
		p.rate = max(p.pace, rest/(interval.Seconds()*spread))
	}
}

// wait says how long a packet of size bytes must wait; 0: it may leave, and is spent.
func (p *pacer) wait(now time.Duration, size int) time.Duration {
	if p.off {
		return 0
	}
	if need := float64(size); p.level >= need { // also what frame put above the depth
		p.level -= need
		return 0
	}
	if p.take(now, size) {
		return 0
	}
	return time.Duration((float64(size)-p.level)/p.rate*float64(time.Second)) + 1
}

// idle ends a frame's own rate: nothing waits any more.
func (p *pacer) idle() { p.rate = p.pace }
