// Package overload decides how many pictures the board encodes, and how large, so that
// latency does not grow when the processor or the bitrate does not suffice.
//
// It sits beside the pipeline. For each frame the caller says how long the picture kept the
// stages busy and how coarse the encoder had to be; back comes a Rung of a short ladder.
// There is no goroutine, clock or encoder in here: time is passed in. Load is a fraction:
// 1 is a picture that takes as long as the time to the next.
//
// The ladder goes down by frame rate first, then by size. Beyond speed -12 libvpx saves 1.16
// times at most (-16, armv7 and arm64 under qemu-user); half the frame rate saves 2, half the
// sides 4. But a small picture shows less of everything, and a slow one only of what moves.
// The ladder is climbed slowly, because each change of size costs a key frame, and a climb
// that does not last costs two.
//
// Sources: the thresholds are those of WebRTC's sender (video/adaptation:
// overuse_frame_detector.cc, quality_scaler.cc of vp8).
package overload

import "time"

// A Rung says what to encode: one of every Divisor pictures, both sides divided by Shrink.
type Rung struct{ Divisor, Shrink int }

// ladder has each rung cheaper than the one before. After a third of the rate comes half
// the size with half the rate: slower than 10 fps is no live picture any more.
var ladder = [...]Rung{{1, 1}, {2, 1}, {3, 1}, {2, 2}, {3, 2}, {3, 4}}

// relativeCost compares a rung with the first, by the pixels it encodes per second.
func (r Rung) relativeCost() float64 { return 1 / float64(r.Divisor*r.Shrink*r.Shrink) }

const (
	// loadTooHigh makes the controller step down if two windows in a row show it.
	loadTooHigh = 0.85
	// loadAfterClimb is the highest load that the rung above may be expected to have: 42 %
	// of load now, where the rung above costs twice as much, as WebRTC has it.
	loadAfterClimb = 2 * 0.42
	// Mean quantizers, of 127: above the first the bitrate is too small for the pictures,
	// below the second it is enough for more of them.
	quantizerTooCoarse, quantizerFine = 95, 29
	// meanWindow is the time over which means are taken.
	meanWindow = time.Second
	// outageGap without a frame ends a window without a verdict: the camera was away.
	outageGap = 3 * time.Second
	// coarseWindows is how many windows in a row must be too coarse: the quantizer swings
	// for some seconds after a key frame, load does not.
	coarseWindows = 5
	// The first climb after a step waits for minClimbWait. The wait doubles each time that a
	// climb did not last, up to maxClimbWait.
	minClimbWait, maxClimbWait = 40 * time.Second, 240 * time.Second
	// startupTime is how long a stream's load says nothing: the stream begins while a board
	// starts, when services and the camera still need the processor, and a step down then
	// would last for minClimbWait.
	startupTime = 6 * time.Second
	// minSide in pixels: what is smaller shows nothing.
	minSide = 120
)

// A Controller watches one stream. It belongs to one goroutine.
type Controller struct {
	nominal  time.Duration // between pictures
	interval time.Duration // the same now
	rungs    []Rung
	at       int           // index into rungs
	reasons  []Reason      // of each step down that is in force
	wait     time.Duration // before the next climb
	began    time.Duration // when the first picture was encoded
	stepped  time.Duration // when the rung last changed
	climbed  bool          // the last step was a climb
	started  bool

	since, last     time.Duration // of the present window
	pictures        int
	busy            time.Duration
	quantizers      int
	slow, tooCoarse int // windows in a row
}

// A Reason says why the controller stepped.
type Reason string

// The reasons there are. The last is that of a step up.
const (
	Load    Reason = "the processor is too slow"
	Quality Reason = "the bitrate is too small"
	Better  Reason = "there is room again"
)

// New makes a controller for pictures of a size that come at an interval.
func New(interval time.Duration, width, height int) *Controller {
	c := &Controller{nominal: interval, interval: interval, wait: minClimbWait}
	for _, r := range ladder {
		if r.Shrink == 1 || width/r.Shrink >= minSide && height/r.Shrink >= minSide {
			c.rungs = append(c.rungs, r)
		}
	}
	return c
}

// Rung says what to encode now.
func (c *Controller) Rung() Rung { return c.rungs[c.at] }

// SetInterval says how far apart the camera's pictures are at present. Many cameras double
// their exposure in the dark, and a board that is too slow for 30 pictures per second may not
// be for 15.
func (c *Controller) SetInterval(interval time.Duration) { c.interval = max(c.nominal, interval) }

// Observe takes in one encoded picture: when it was done, how long it kept the slowest stage
// busy, and its quantizer (0 to 127). It returns why the rung has changed, "" if it has not.
func (c *Controller) Observe(now, busy time.Duration, quantizer int) Reason {
	if !c.started || now-c.last > outageGap || now < c.last {
		c.startWindow(now)
		if !c.started {
			c.started, c.began, c.stepped = true, now, now
		}
		c.slow, c.tooCoarse = 0, 0
		return ""
	}
	c.last = now
	c.pictures++
	c.busy += busy
	c.quantizers += quantizer
	if now-c.since < meanWindow {
		return ""
	}
	defer c.startWindow(now)
	return c.judgeWindow(now)
}

// startWindow forgets what the last window held.
func (c *Controller) startWindow(now time.Duration) {
	c.since, c.last = now, now
	c.pictures, c.busy, c.quantizers = 0, 0, 0
}

// judgeWindow steps if a full window calls for it.
func (c *Controller) judgeWindow(now time.Duration) Reason {
	n := c.pictures
	load := float64(c.busy) / float64(n) / float64(c.interval*time.Duration(c.Rung().Divisor))
	quantizer := c.quantizers / n
	c.slow = countInRow(c.slow, load >= loadTooHigh && now-c.began >= startupTime)
	c.tooCoarse = countInRow(c.tooCoarse, quantizer > quantizerTooCoarse)
	switch {
	case c.slow >= 2 && c.at+1 < len(c.rungs):
		return c.stepDown(now, c.firstFitting(load), Load)
	case c.tooCoarse >= coarseWindows && c.at+1 < len(c.rungs):
		return c.stepDown(now, c.at+1, Quality)
	case c.at > 0 && now-c.stepped >= c.wait && c.mayClimb(load, quantizer):
		return c.stepUp(now)
	}
	return ""
}

// countInRow counts up, or begins anew.
func countInRow(n int, again bool) int {
	if again {
		return n + 1
	}
	return 0
}

// firstFitting is the first rung below that should bring the load under loadTooHigh.
func (c *Controller) firstFitting(load float64) int {
	i := c.at + 1
	for i+1 < len(c.rungs) && load*c.rungs[i].relativeCost()/c.Rung().relativeCost() >= loadTooHigh {
		i++
	}
	return i
}

// mayClimb says whether the rung above would do. A step down because of the bitrate is taken
// back only when frames are fine; one because of the processor is taken back whatever they are.
func (c *Controller) mayClimb(load float64, quantizer int) bool {
	if load*c.rungs[c.at-1].relativeCost()/c.Rung().relativeCost() >= loadAfterClimb {
		return false
	}
	return c.reasons[c.at-1] != Quality || quantizer < quantizerFine
}

func (c *Controller) stepDown(now time.Duration, to int, why Reason) Reason {
	if c.climbed && now-c.stepped < c.wait {
		c.wait = min(2*c.wait, maxClimbWait) // the climb did not last
	} else {
		c.wait = minClimbWait
	}
	for ; c.at < to; c.at++ {
		c.reasons = append(c.reasons, why)
	}
	c.stepped, c.climbed, c.slow, c.tooCoarse = now, false, 0, 0
	return why
}

func (c *Controller) stepUp(now time.Duration) Reason {
	c.at--
	c.reasons = c.reasons[:c.at]
	c.stepped, c.climbed, c.slow, c.tooCoarse = now, true, 0, 0
	return Better
}
