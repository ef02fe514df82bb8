// Round trips of echo requests: what shows a queue between the reports of plain AVP,
// if the receiver's host answers. Spec: RFC 792 (Echo), RFC 4443 section 4.

package ratecontrol

import "time"

const (
	// lateEchoesMin answers in a row must show a queue: one that came late says that the
	// host, or a radio, slept.
	lateEchoesMin = 2

	// echoQueueGrowth is how much a queue must have grown between two answers for the rate to
	// be still too much; a cut shows in the answers after echoPause.
	echoQueueGrowth = 20 * time.Millisecond
	echoPause       = 300 * time.Millisecond

	// maxEchoAge: an older answer is no news.
	maxEchoAge = 10 * time.Second
)

// An Echo is one answer.
type Echo struct {
	Sent     time.Duration // when the request left
	Before   uint64        // bytes of all packets that had left before it
	InFlight int           // bytes that left after it
}

// An answer is what is kept of an Echo.
type answer struct {
	sent, came time.Duration
	before     uint64
	queue      time.Duration
}

// echoes is what the answers have shown. The way back is in them too, so a queue there
// looks like one of ours; but it does not shrink when we send less.
type echoes struct {
	n        int
	last     [3]answer     // the newest first
	base     baseDelay     // of round trips
	fullFor  int           // answers in a row with a queue
	since    time.Duration // when the first of those came
	isCause  bool          // answers made the last cut, so they wait where our packets wait
	cutAt    time.Duration
	cutQueue time.Duration // the queue when they made it
}

// isLive says that the host answers.
func (e *echoes) isLive(now time.Duration) bool { return e.n > 0 && now-e.last[0].came < feedbackGap }

// isTrusted says that answers know more of the queue at hand than reports do.
func (e *echoes) isTrusted(now time.Duration) bool { return e.isCause && e.isLive(now) }

// hasRoom says that answers, if there are any, allow for more.
func (e *echoes) hasRoom(now time.Duration) bool { return !e.isLive(now) || e.last[0].queue < queueLow }

// NoteEcho takes an answer. One that was overtaken says nothing.
func (c *Controller) NoteEcho(now time.Duration, n Echo) {
	e := &c.echoes
	trip := now - n.Sent
	overtaken := e.n > 0 && (n.Sent <= e.last[0].sent || n.Before < e.last[0].before)
	if trip < 0 || trip > maxEchoAge || overtaken {
		return
	}
	e.base.span = reportBaseSpan
	e.base.addDelay(now, trip)
	e.addAnswer(answer{n.Sent, now, n.Before, trip - e.base.leastDelay()})
	if c.transport.isLive(now) {
		return
	}
	if e.fullFor >= lateEchoesMin && now-max(c.cutAt, e.cutAt) >= echoPause {
		c.cutForTrips(now)
	}
	if e.isTrusted(now) && c.capacity > 0 {
		c.backlog.setBits(now, c.capacity*(e.last[0].queue-trip).Seconds()+8*float64(n.InFlight))
	}
}

func (e *echoes) addAnswer(a answer) {
	copy(e.last[1:], e.last[:])
	e.last[0] = a
	e.n = min(e.n+1, len(e.last))
	if a.queue <= queueHigh {
		e.fullFor = 0
		return
	}
	if e.fullFor++; e.fullFor == 1 {
		e.since = a.came
	}
}

// cutForTrips cuts while the queue grows. One that stays whatever was cut is not ours, and
// counts as the path's own delay from now on.
func (c *Controller) cutForTrips(now time.Duration) {
	e := &c.echoes
	queue := e.last[0].queue
	switch long := now-e.cutAt > backlogTrust; {
	case long && e.isCause && e.since <= e.cutAt && queue > e.cutQueue/2:
		e.base.n = 0
		e.base.addDelay(now, now-e.last[0].sent)
		e.fullFor, e.isCause, c.capacity = 0, false, 0
		return
	case !long && queue < e.last[1].queue+echoQueueGrowth:
		return
	}
	c.capacity = max(minRate, e.carriedRate(), cutFloor*c.rate)
	c.cutRate(now, backOff*c.capacity, Trips)
	c.cutAt, e.cutAt, e.isCause, e.cutQueue = now, now, true, queue
}

// carriedRate is the rate at which bytes passed the bottleneck between the answers at hand:
// they come as far apart as those bytes kept it busy.
func (e *echoes) carriedRate() float64 {
	first := e.last[e.n-1]
	passed := (e.last[0].came - first.came).Seconds()
	if passed <= 0 {
		return 0
	}
	return 8 * float64(e.last[0].before-first.before) / passed
}
