// The controller: what comes in from all kinds of feedback, and the rate that goes out.

// Package ratecontrol decides how many bits per second the encoder may spend, and
// which pictures must not be sent at all because the path is still full.
//
// It is the way back of the stream: what the receiver reports of the path comes in,
// decisions go out. There is no goroutine, clock or socket in here: the caller passes
// the time of each event (CLOCK_MONOTONIC). Rates are in bit/s, sizes in bytes of an IP
// packet, loss is a fraction from 0 to 1.
//
// It works with what a receiver offers. Transport-wide feedback reports the arrival of
// each packet: a queue shows within a tenth of a second. Reception reports alone come
// every 5 s in plain AVP: a queue then shows in how late the reported packet is, in
// packets asked for again, and in how late the receiver's host answers echo requests. A
// browser behind Janus reports what it believes to be able to take, and no more. A receiver
// that reports nothing at all, such as ffmpeg, gets what the owner allows, and what its
// host's echoes allow.
//
// A network that is slow is answered by bits first. What too few bits make of the
// picture is overload's matter: fewer pictures, then smaller ones.
//
// Sources: RFC 3550 section 6.4 (reports), draft-holmer-rmcat-transport-wide-cc-extensions-01
// (transport feedback), draft-ietf-rmcat-gcc-02 sections 5 and 6 (shares of loss),
// RFC 6817 section 2.1.1 (least delay as the base of a queue's),
// draft-alvestrand-rmcat-remb-03 (the receiver's own estimate).
package ratecontrol

import "time"

const (
	// startShare of the owner's rate is what a stream starts with, before anything is
	// known of the path; minRate is where it is still a picture.
	startShare = 0.5
	minRate    = 50_000

	// A delay up to queueLow is no queue; above queueHigh the path is congested. Between
	// the two nothing moves. Jitter of Wi-Fi is 10 to 30 ms, and the least delay of a batch
	// is compared.
	queueLow  = 40 * time.Millisecond
	queueHigh = 60 * time.Millisecond

	// plannedShare of the owner's rate is what the encoder is to use, headers and resends included: the
	// rest lets a key frame or a scene cut pass without a picture being held. rtpsend keeps the
	// owner's rate itself, over any 2 s.
	plannedShare = 0.97

	// resendRoom times what is sent again is kept free below that: it comes in bursts, of which a key
	// frame that leaves twice is the largest. With once as much, 11 of 870 pictures of a talking head
	// were held at 5 % of loss, with this none, for 0.01 dB.
	resendRoom = 1.5

	// backOff is the part of what the path carried that is taken after congestion: the
	// rest drains the queue.
	backOff = 0.85

	// Growth is a part of the rate in a second: quick where nothing is known to be in
	// the way, careful around the rate that last was too much, and in between while there are
	// only reports, which are seconds late.
	quickGrowth   = 0.40
	carefulGrowth = 0.10
	blindGrowth   = 0.25

	// congestionMemory is how long we believe that the last congested rate is still too much.
	// forgetAbove: forget it once we exceed it by 15 %.
	congestionMemory = 30 * time.Second
	forgetAbove      = 1.15

	// sendHeadroom is how far the rate may be above what is really sent: an encoder that
	// needs less says nothing about the path.
	sendHeadroom = 2.5

	// maxGrowthStep is the most time that a picture's growth counts: a pause is no sign of room.
	maxGrowthStep = 200 * time.Millisecond
)

// A Cause is why the rate was cut.
type Cause int

const (
	Queue     Cause = iota // each packet's arrival shows that one grows on the path
	Late                   // reports name packets that are late
	Trips                  // answers to echo requests are late
	Losses                 // too many packets are lost
	Silence                // feedback that was there has stopped
	Estimated              // the receiver says how much it can take
	Causes                 // how many there are
)

// String is for the log.
func (c Cause) String() string {
	return [...]string{"a queue grows on the path", "packets are late", "round trips grow", "packets are lost",
		"feedback has stopped", "the receiver can take no more"}[c]
}

// A Controller watches one stream. It belongs to one goroutine.
type Controller struct {
	ownerRate float64 // the most on the wire
	rate      float64 // on the wire
	share     float64 // of what is on the wire that is VP8
	grownAt   time.Duration
	started   bool

	cuts [Causes]uint64

	capacity float64       // of the path when it was last congested; 0: it was not
	cutAt    time.Duration // when the rate was last cut

	beforeLosses  float64       // the rate before the cuts for losses at hand; 0: the latest cut was none
	tooLargeUntil time.Duration // what was lost before says nothing; 0: nothing was too large

	backlog backlog

	sent      meter // what left
	resent    meter // what of it had left before
	transport transport
	reports   reports
	echoes    echoes
	losses    losses
	estimate  estimate
}

// New makes a controller for a stream of at most ownerRate bit/s on the wire.
func New(ownerRate int) *Controller {
	c := &Controller{ownerRate: float64(ownerRate), share: 1}
	c.rate = min(c.ownerRate, max(minRate, startShare*c.ownerRate))
	c.sent.span, c.resent.span, c.transport.received.span = sendSpan, sendSpan, receiveSpan
	return c
}

// Cuts is how often each cause has cut the rate.
func (c *Controller) Cuts() [Causes]uint64 { return c.cuts }

// Rate is what may be on the wire now, in bit/s.
func (c *Controller) Rate() int { return int(c.rate) }

// NoteSent takes a packet that left, size bytes with all headers, of which payload are VP8;
// none of one that was sent before.
func (c *Controller) NoteSent(now time.Duration, size, payload int) {
	c.sent.addBytes(now, size)
	if payload == 0 {
		c.resent.addBytes(now, size)
	}
	c.losses.noteSent(now)
	c.transport.noteSent(now)
	c.backlog.addPacket(now, size, c.capacity)
	if payload > 0 {
		c.share += (float64(payload)/float64(size) - c.share) / 64 // some 20 frames
	}
}

// Advise says, for the picture at hand, at which rate to encode in bit/s of VP8, and
// whether to leave it out because what is on its way must drain first.
func (c *Controller) Advise(now time.Duration) (bitrate int, hold bool) {
	c.cutForSilence(now)
	c.growRate(now)
	hold = now-c.cutAt < backlogTrust && c.backlog.mustDrain(now, c.capacity)
	resent := c.resent.bitrate(now) // needs its part
	free := min(c.rate-resent, plannedShare*c.ownerRate-resendRoom*resent)
	most := plannedShare * c.ownerRate * min(1, c.share)
	return int(min(most, max(minRate, free*c.share))), hold
}

// ceiling is what is planned of the owner's rate, or the receiver's.
func (c *Controller) ceiling(now time.Duration) float64 {
	return c.estimate.limitRate(now, plannedShare*c.ownerRate)
}

// growRate takes the room that there seems to be, by the time since the last picture.
func (c *Controller) growRate(now time.Duration) {
	passed := min(now-c.grownAt, maxGrowthStep)
	first := !c.started
	c.grownAt, c.started = now, true
	ceiling := c.ceiling(now)
	if first || c.rate >= ceiling || !c.hasRoom(now) {
		return
	}
	to := c.rate * (1 + c.growthRate(now)*passed.Seconds())
	to = min(to, ceiling, max(c.rate, sendHeadroom*c.sent.bitrate(now)))
	if c.capacity > 0 && to > forgetAbove*c.capacity {
		c.capacity = 0
	}
	c.rate = max(c.rate, to)
}

// growthRate is what part of the rate is added in a second.
func (c *Controller) growthRate(now time.Duration) float64 {
	switch {
	case c.capacity > 0 && now-c.cutAt < congestionMemory && c.rate > backOff*c.capacity:
		return carefulGrowth
	case c.transport.isLive(now):
		return quickGrowth
	case c.losses.knownShare(now) > lossGrow:
		return carefulGrowth
	}
	return blindGrowth
}

// hasRoom says that nothing speaks against a higher rate.
func (c *Controller) hasRoom(now time.Duration) bool {
	if c.losses.knownShare(now) > lossCut {
		return false
	}
	if c.transport.isOffered(now) {
		return now-c.transport.last < feedbackGap && c.transport.queue < queueLow
	}
	return c.echoes.hasRoom(now) && c.reports.hasRoom(now, c.rate)
}

// cutRate lowers the rate, never below the least, and never raises it.
func (c *Controller) cutRate(now time.Duration, to float64, why Cause) {
	if to >= c.rate {
		return
	}
	if why != Losses {
		c.beforeLosses = 0
	} else if c.beforeLosses == 0 || now-c.cutAt > congestionMemory {
		c.beforeLosses = c.rate
	}
	c.rate, c.cutAt = max(minRate, to), now
	c.cuts[why]++
}
