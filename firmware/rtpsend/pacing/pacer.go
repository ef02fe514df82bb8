// When the next packet of a frame may leave.

package pacing

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

const (
	// paceFactor is how much faster than the mean packets leave: a frame of three
	// times the mean size still leaves within its own interval at 2.5, without the
	// bursts of line speed that overflow the short queues of access points.
	paceFactor = 2.5

	// burstFrames is how many mean frames leave at once: a frame of a quiet scene is
	// between half and twice the mean, and to delay it would be latency for nothing.
	burstFrames = 2

	// spreadShare is the part of the interval that the largest frame takes, so that timers
	// that fire late do not push it into the next one, which finds room again.
	spreadShare = 0.75

	// assumedFPS stands in for the camera's rate in the mean frame's size.
	assumedFPS = 30

	// maxSpread is the most that a frame is delayed: at 5 frames a second, as in the
	// dark, nobody gains by the 200 ms of a whole interval.
	maxSpread = 50 * time.Millisecond
)

// A Pacer spreads frames that are larger than others, key frames above all, over at
// most one frame interval. The interval is that of the capture times.
type Pacer struct {
	bucket  Bucket  // of the packets that may leave now; its depth is the largest burst
	pace    float64 // bytes a second; the bucket's rate is higher while that would take too long
	last    time.Duration
	started bool
	off     bool // everything leaves at once
}

// NewPacer makes a pacer for a stream of bandwidth bit/s; off: everything leaves at once.
func NewPacer(bandwidth int, off bool) Pacer {
	mean := float64(bandwidth) / 8 / assumedFPS
	pace := float64(bandwidth) / 8 * paceFactor
	return Pacer{bucket: NewBucket(pace, max(burstFrames*mean, 2*packet.MaxSize)), pace: pace, off: off}
}

// SetBandwidth makes the pace that of a stream of bandwidth bit/s from now on.
func (p *Pacer) SetBandwidth(now time.Duration, bandwidth int) {
	fresh := NewPacer(bandwidth, p.off)
	p.bucket.updateLevel(now)
	level := min(p.bucket.level, fresh.bucket.depth)
	p.bucket = Bucket{rate: fresh.pace, depth: fresh.bucket.depth, level: level, at: now}
	p.pace = fresh.pace
}

// BeginFrame notes at now that a frame was queued, by its capture time; queued bytes wait
// now, the frame included.
func (p *Pacer) BeginFrame(now, captured time.Duration, queued int) {
	interval := time.Second / assumedFPS
	if p.started {
		interval = min(max(captured-p.last, 0), maxSpread)
	}
	p.last, p.started = captured, true
	p.bucket.SetRate(now, p.pace)
	rest := float64(queued) - p.bucket.level
	switch {
	case rest <= 0:
	case interval == 0: // two frames of one moment: the first has no time left
		p.bucket.level = max(p.bucket.level, float64(queued))
	default:
		p.bucket.rate = max(p.pace, rest/(interval.Seconds()*spreadShare))
	}
}

// AdmitPacket says how long a packet of size bytes must wait; 0: it may leave, and is spent.
func (p *Pacer) AdmitPacket(now time.Duration, size int) (wait time.Duration) {
	if p.off {
		return 0
	}
	if need := float64(size); p.bucket.level >= need { // also what BeginFrame put above the depth
		p.bucket.level -= need
		return 0
	}
	if p.bucket.TakeBytes(now, size) {
		return 0
	}
	return time.Duration((float64(size)-p.bucket.level)/p.bucket.rate*float64(time.Second)) + 1
}

// EndFrame ends a frame's own rate: nothing waits any more.
func (p *Pacer) EndFrame() { p.bucket.rate = p.pace }
