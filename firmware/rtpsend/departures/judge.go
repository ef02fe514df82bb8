// Whether the path has a queue, and whether it loses packets by chance.

package departures

import "time"

const (
	// queueLikely: above this extra delay a missing packet is more likely queued than lost.
	queueLikely = 60 * time.Millisecond

	// feedbackDrift is how much longer an empty path may have become from one feedback to the
	// next, of which some tens come in a second: routes change. Echoes are fewer.
	feedbackDrift = 50 * time.Microsecond
	echoDrift     = 10 * feedbackDrift

	// feedbackTimeout: after 8 s without transport-wide feedback, assume that the receiver that
	// sent it was replaced by one that sends none, as in ratecontrol.
	feedbackTimeout = 8 * time.Second

	// echoTimeout is how long an answer to an echo request counts.
	echoTimeout = 2 * time.Second

	// lateEchoesMin in a row are a queue: one says that the host, or a radio, slept.
	lateEchoesMin = 2

	// At 1 % loss, 1 in 17 six-packet key frames is incomplete; below that, nothing is doubled.
	// Above 10 %, a full queue is the likeliest cause (ratecontrol's lossCut), and more packets
	// make it worse.
	minChanceLoss, maxChanceLoss = 0.01, 0.10

	// lossWindow is over how many packets loss is judged: some 8 s of 30 frames a second, of
	// two packets each.
	lossWindow = 512
)

// HasFeedback says that transport-wide feedback comes.
func (r *Record) HasFeedback(now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hasFeedback(now)
}

// IsQueued says that a packet that the receiver asks for most likely waits in a queue of the
// path: feedback shows a queue, and no packet behind it has arrived yet. To send it again
// then makes the queue longer.
func (r *Record) IsQueued(now time.Duration, sequence uint16) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.media[sequence%ringSize]
	return r.hasFeedback(now) && r.hasQueue(now) && n > r.newestArrived && r.findNumber(n-1) != nil
}

// LosesByChance says that the path loses packets, and no queue of it is to blame as far as is
// known. asked: the receiver asks for one, which is a sign of its own, unless feedback comes,
// too: then the request may be about a packet that is late.
func (r *Record) LosesByChance(now time.Duration, asked bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	lossy := r.lossShare >= minChanceLoss || asked && !r.hasFeedback(now)
	return lossy && r.lossShare <= maxChanceLoss && !r.hasQueue(now)
}

// hasFeedback: see HasFeedback. mu is held.
func (r *Record) hasFeedback(now time.Duration) bool {
	return r.feedbackAt != 0 && now-r.feedbackAt < feedbackTimeout
}

// hasQueue says that feedback shows a queue on the path, or echoes do where there is no feedback.
// mu is held.
func (r *Record) hasQueue(now time.Duration) bool {
	if r.hasFeedback(now) {
		return r.age > r.emptyAge+queueLikely
	}
	return now-r.echoes.at < echoTimeout && r.echoes.late >= lateEchoesMin
}

// noteAge takes how old the newest packet was when its arrival was told. mu is held.
func (r *Record) noteAge(age time.Duration) {
	r.age = age
	if r.emptyAge == 0 {
		r.emptyAge = age
	}
	r.emptyAge = min(age, r.emptyAge+feedbackDrift)
}

// echoTimes are how long echoes take: the least, and how many of the latest were late.
type echoTimes struct {
	at, least time.Duration
	late      int
}

func (e *echoTimes) noteEcho(now, took time.Duration) {
	if e.least == 0 {
		e.least = took
	}
	e.at, e.least = now, min(took, e.least+echoDrift)
	if e.late++; took <= e.least+queueLikely {
		e.late = 0
	}
}
