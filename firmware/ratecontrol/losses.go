// Loss, from what the receiver asks for again or reports as lost. Pure.

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

	// lossSpan is the time over which packets are compared, longer where they are fewer
	// than lossMany in it, up to lossLong: receivers ask for packets that are merely late,
	// too, and a slow stream is not to be slowed by three of them. lossJudge is the time of
	// a spell of loss before it is judged, lossPause the least time between two cuts;
	// lossLeast is how many packets a share needs.
	lossSpan  = 500 * time.Millisecond
	lossLong  = 3 * time.Second
	lossMany  = 60
	lossJudge = 400 * time.Millisecond
	lossPause = 400 * time.Millisecond
	lossLeast = 10
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

func (l *losses) turn(now time.Duration) {
	half := now - l.since
	if half < lossSpan/2 || l.out[0] < lossMany/2 && half < lossLong/2 {
		return
	}
	l.out[1], l.missed[1] = l.out[0], l.missed[0]
	if half >= lossLong { // a pause: nothing of it is recent
		l.out[1], l.missed[1] = 0, 0
	}
	l.out[0], l.missed[0] = 0, 0
	l.since = now
}

func (l *losses) sent(now time.Duration) {
	l.turn(now)
	l.out[0]++
}

func (l *losses) report(now time.Duration, loss float64) {
	l.reported, l.reportedAt, l.everReported = loss, now, true
}

// recent is the part of the latest packets that the receiver asked for.
func (l *losses) recent(now time.Duration) float64 {
	l.turn(now)
	out := l.out[0] + l.out[1]
	if out < lossLeast {
		return 0
	}
	return min(1, float64(l.missed[0]+l.missed[1])/float64(out))
}

// telling is whether chance alone seldom makes so many of so few packets get lost at
// lossCut: two deviations of a Poisson distribution. At 5 % of radio loss, every 30
// packets have three or more missing one time in five.
func (l *losses) telling() bool {
	missed, mean := float64(l.missed[0]+l.missed[1]), lossCut*float64(l.out[0]+l.out[1])
	return missed >= mean+2*math.Sqrt(mean)
}

// share is what is known of loss now, by requests or by the last report.
func (l *losses) share(now time.Duration) float64 {
	if l.everReported && now-l.reportedAt < fresh {
		return max(l.recent(now), l.reported)
	}
	return l.recent(now)
}

// Missing notes that the receiver misses a packet, for the first time, that was sent at
// sent. What was sent before the last cut is no news.
func (c *Controller) Missing(now, sent time.Duration) {
	if sent <= c.cutAt && c.cutAt != 0 {
		return
	}
	l := &c.losses
	l.turn(now)
	l.missed[0]++
	if now-l.missedAt > lossSpan {
		l.began = now
	}
	l.missedAt = now
	if now-l.began >= lossJudge && l.telling() {
		c.lose(now, l.recent(now))
	}
}

// lose cuts the rate if too much is lost. A queue that is full loses all that is above
// what the path carries; radio seldom loses a quarter.
func (c *Controller) lose(now time.Duration, share float64) {
	switch {
	case share <= lossCut || now-c.cutAt < lossPause && c.cutAt != 0:
	case share > lossFull:
		c.capacity = max(leastRate, c.rate*(1-share))
		c.cut(now, backOff*c.capacity, Losses)
	default:
		c.cut(now, c.rate*(1-share/2), Losses)
	}
}
