// Package overload decides how many pictures the board encodes, and how large, so
// that latency does not grow when the processor or the bitrate is not enough.
//
// It sits beside the pipeline: for each frame the caller says how long the picture
// kept the stages busy and how coarse the encoder had to be; back comes a Rung of a
// short ladder. There is no goroutine, clock or encoder in here: time is passed in.
// Load is a fraction: 1 is a picture that takes as long as the time to the next.
//
// The ladder goes down by frame rate first, then by size: beyond speed -12 libvpx
// saves 1.16 times at most (-16, armv7 and arm64 under qemu-user), half the frame
// rate saves 2, half the sides 4, but a small picture shows less of everything and
// a slow one only of what moves. It climbs back slowly, because each change of size
// costs a key frame, and one that does not hold costs two.
//
// Sources: the marks are those of WebRTC's sender (video/adaptation:
// overuse_frame_detector.cc, quality_scaler.cc of vp8).
package overload

import "time"

// A Rung says what to encode: one of every Divisor pictures, both sides divided by Shrink.
type Rung struct{ Divisor, Shrink int }

// ladder, each rung cheaper than the one above. After a third of the rate comes half
// the size with half the rate: slower than 10 fps is no live picture any more.
var ladder = [...]Rung{{1, 1}, {2, 1}, {3, 1}, {2, 2}, {3, 2}, {3, 4}}

// cost of a rung against the first, by the pixels it encodes in a second.
func (r Rung) cost() float64 { return 1 / float64(r.Divisor*r.Shrink*r.Shrink) }

const (
	// high is the load that is too much, if two windows running show it.
	high = 0.85
	// room is the load that the rung above may reach by the looks of this one: 42 %
	// of load where the rung above costs twice as much, as WebRTC has it.
	room = 2 * 0.42
	// coarse and fine are the mean quantizers, of 127, beyond which the bitrate is
	// too small for the pictures and enough for more of them.
	coarse, fine = 95, 29
	// window is the time over which means are taken.
	window = time.Second
	// gap without a frame ends a window without a verdict: the camera was away.
	gap = 3 * time.Second
	// patience is how many windows must be too coarse: the quantizer swings for
	// some seconds after a key frame, load does not.
	patience = 5
	// A climb waits for minWait after any step, twice as long each time that a climb
	// did not hold, maxWait at most.
	minWait, maxWait = 40 * time.Second, 240 * time.Second
	// settling is how long a stream's load says nothing: it begins while a board starts,
	// with services and a camera that still want the processor, and a step down then
	// would last for minWait.
	settling = 6 * time.Second
	// leastSide in pixels: what is smaller shows nothing.
	leastSide = 120
)

// A Controller watches one stream. It belongs to one goroutine.
type Controller struct {
	nominal  time.Duration // between pictures
	interval time.Duration // the same now
	rungs    []Rung
	at       int           // index into rungs
	why      []Reason      // of each step down that is in force
	wait     time.Duration // before the next climb
	begun    time.Duration // when the first picture was encoded
	stepped  time.Duration // when the rung last changed
	climbed  bool          // the last step was a climb
	started  bool

	since, last     time.Duration // of the window at hand
	pictures        int
	busy            time.Duration
	quantizers      int
	slow, tooCoarse int // windows running
}

// A Reason says why the controller stepped.
type Reason string

const (
	Load    Reason = "the processor is too slow"
	Quality Reason = "the bitrate is too small"
	Better  Reason = "there is room again"
)

// New makes a controller for pictures of a size that come at an interval.
func New(interval time.Duration, width, height int) *Controller {
	c := &Controller{nominal: interval, interval: interval, wait: minWait}
	for _, r := range ladder {
		if r.Shrink == 1 || width/r.Shrink >= leastSide && height/r.Shrink >= leastSide {
			c.rungs = append(c.rungs, r)
		}
	}
	return c
}

// Rung is what to encode now.
func (c *Controller) Rung() Rung { return c.rungs[c.at] }

// Pace says how far apart the camera's pictures are at present: many double their
// exposure in the dark, and a board that is too slow for 30 a second need not be for 15.
func (c *Controller) Pace(interval time.Duration) { c.interval = max(c.nominal, interval) }

// Observe takes in one encoded picture: when it was done, how long it kept the
// slowest stage busy, and its quantizer (0 to 127). It returns why the rung has
// changed, "" if it has not.
func (c *Controller) Observe(now, busy time.Duration, quantizer int) Reason {
	if !c.started || now-c.last > gap || now < c.last {
		c.begin(now)
		if !c.started {
			c.started, c.begun, c.stepped = true, now, now
		}
		c.slow, c.tooCoarse = 0, 0
		return ""
	}
	c.last = now
	c.pictures++
	c.busy += busy
	c.quantizers += quantizer
	if now-c.since < window {
		return ""
	}
	defer c.begin(now)
	return c.judge(now)
}

// begin starts a window.
func (c *Controller) begin(now time.Duration) {
	c.since, c.last = now, now
	c.pictures, c.busy, c.quantizers = 0, 0, 0
}

// judge draws the conclusion of a full window.
func (c *Controller) judge(now time.Duration) Reason {
	n := c.pictures
	load := float64(c.busy) / float64(n) / float64(c.interval*time.Duration(c.Rung().Divisor))
	quantizer := c.quantizers / n
	c.slow = count(c.slow, load >= high && now-c.begun >= settling)
	c.tooCoarse = count(c.tooCoarse, quantizer > coarse)
	switch {
	case c.slow >= 2 && c.at+1 < len(c.rungs):
		return c.down(now, c.fitting(load), Load)
	case c.tooCoarse >= patience && c.at+1 < len(c.rungs):
		return c.down(now, c.at+1, Quality)
	case c.at > 0 && now-c.stepped >= c.wait && c.mayClimb(load, quantizer):
		return c.up(now)
	}
	return ""
}

func count(n int, again bool) int {
	if again {
		return n + 1
	}
	return 0
}

// fitting is the first rung below that should bring the load under the mark.
func (c *Controller) fitting(load float64) int {
	i := c.at + 1
	for i+1 < len(c.rungs) && load*c.rungs[i].cost()/c.Rung().cost() >= high {
		i++
	}
	return i
}

// mayClimb tells whether the rung above would do. What was given up for want of
// bits needs fine frames to come back; what was given up for want of time does not.
func (c *Controller) mayClimb(load float64, quantizer int) bool {
	if load*c.rungs[c.at-1].cost()/c.Rung().cost() >= room {
		return false
	}
	return c.why[c.at-1] != Quality || quantizer < fine
}

func (c *Controller) down(now time.Duration, to int, why Reason) Reason {
	if c.climbed && now-c.stepped < c.wait {
		c.wait = min(2*c.wait, maxWait) // the climb did not hold
	} else {
		c.wait = minWait
	}
	for ; c.at < to; c.at++ {
		c.why = append(c.why, why)
	}
	c.stepped, c.climbed, c.slow, c.tooCoarse = now, false, 0, 0
	return why
}

func (c *Controller) up(now time.Duration) Reason {
	c.at--
	c.why = c.why[:c.at]
	c.stepped, c.climbed, c.slow, c.tooCoarse = now, true, 0, 0
	return Better
}
