// Loss, from what the receiver asks for again or reports as lost.

package ratecontrol

import (
	"math"
	"time"
)

const (
	// Above lossCut the path is taken for congested, and the rate falls by half the
	// loss (GCC section 6); between lossGrow and that it grows with care, if no queue is
	// to blame: radio loses packets too. Above lossFull a full queue is the likeliest cause.
	lossCut  = 0.10
	lossGrow = 0.02
	lossFull = 0.25

	// lossSpan is the time over which packets are compared. It is longer, up to lossMaxSpan,
	// where fewer than lossManyPackets leave in it: receivers ask for packets that are merely
	// late, too, and three of them must not slow a slow stream.
	lossSpan        = 500 * time.Millisecond
	lossMaxSpan     = 3 * time.Second
	lossManyPackets = 60

	// lossSettleTime is how long a spell of loss lasts before it is judged, lossPause the least
	// time between two cuts, lossMinPackets how many packets a share needs.
	lossSettleTime = 400 * time.Millisecond
	lossPause      = 400 * time.Millisecond
	lossMinPackets = 10
)

// losses compares packets sent with packets missed in two half windows that alternate.
type losses struct {
	since        time.Duration
	out, missed  [2]int // of this half and of the one before
	reported     float64
	reportedAt   time.Duration
	everReported bool
	began        time.Duration // of the spell of loss at hand
	missedAt     time.Duration // its latest
}

// turnHalves begins a new half when this one is over.
func (l *losses) turnHalves(now time.Duration) {
	half := now - l.since
	if half < lossSpan/2 || l.out[0] < lossManyPackets/2 && half < lossMaxSpan/2 {
		return
	}
	l.out[1], l.missed[1] = l.out[0], l.missed[0]
	if half >= lossMaxSpan { // a pause: nothing of it is recent
		l.out[1], l.missed[1] = 0, 0
	}
	l.out[0], l.missed[0] = 0, 0
	l.since = now
}

func (l *losses) noteSent(now time.Duration) {
	l.turnHalves(now)
	l.out[0]++
}

func (l *losses) noteReport(now time.Duration, loss float64) {
	l.reported, l.reportedAt, l.everReported = loss, now, true
}

// recentShare is the part of the latest packets that the receiver asked for.
func (l *losses) recentShare(now time.Duration) float64 {
	l.turnHalves(now)
	out := l.out[0] + l.out[1]
	if out < lossMinPackets {
		return 0
	}
	return min(1, float64(l.missed[0]+l.missed[1])/float64(out))
}

// isSignificant says that chance alone seldom makes so many of so few packets get lost at
// lossCut: two deviations of a Poisson distribution. At 5 % of radio loss, every 30
// packets have three or more missing one time in five.
func (l *losses) isSignificant() bool {
	missed, mean := float64(l.missed[0]+l.missed[1]), lossCut*float64(l.out[0]+l.out[1])
	return missed >= mean+2*math.Sqrt(mean)
}

// knownShare is what is known of loss now, by requests or by the last report.
func (l *losses) knownShare(now time.Duration) float64 {
	if l.everReported && now-l.reportedAt < feedbackTimeout {
		return max(l.recentShare(now), l.reported)
	}
	return l.recentShare(now)
}

// NoteMissing takes a packet that the receiver misses, for the first time, that was sent at
// sent. What was sent before the last cut is no news.
func (c *Controller) NoteMissing(now, sent time.Duration) {
	if sent <= c.cutAt && c.cutAt != 0 || sent <= c.tooLargeUntil && c.tooLargeUntil != 0 {
		return
	}
	l := &c.losses
	l.turnHalves(now)
	l.missed[0]++
	if now-l.missedAt > lossSpan {
		l.began = now
	}
	l.missedAt = now
	if now-l.began >= lossSettleTime && l.isSignificant() {
		c.cutForLoss(now, l.recentShare(now))
	}
}

// NoteSmallerPackets takes that what was lost so far was too large for the path, and that packets are
// smaller from now on: the cuts that followed from it are taken back.
func (c *Controller) NoteSmallerPackets(now time.Duration) {
	c.tooLargeUntil = now
	c.losses = losses{since: now}
	if c.beforeLosses > c.rate {
		c.rate, c.capacity, c.cutAt = c.beforeLosses, 0, 0
	}
	c.beforeLosses = 0
}

// cutForLoss cuts the rate if too much is lost. A queue that is full loses all that is above
// what the path carries; radio seldom loses a quarter.
func (c *Controller) cutForLoss(now time.Duration, share float64) {
	switch {
	case share <= lossCut || now-c.cutAt < lossPause && c.cutAt != 0:
	case share > lossFull:
		c.capacity = max(minRate, c.rate*(1-share))
		c.cutRate(now, backOff*c.capacity, Losses)
	default:
		c.cutRate(now, c.rate*(1-share/2), Losses)
	}
}
