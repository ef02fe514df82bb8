// Round trips of echo requests: what tells of a queue between the reports of plain AVP,
// if the receiver's host answers. Pure.
// Spec: RFC 792 (Echo), RFC 4443 section 4.

package ratecontrol

import "time"

const (
	// echoLeast is how many answers in a row must show a queue: one that came late says
	// that the host, or a radio, slept.
	echoLeast = 2

	// echoGrows is how much a queue must have grown between two answers for the rate to
	// be still too much; a cut shows in the answers after echoPause.
	echoGrows = 20 * time.Millisecond
	echoPause = 300 * time.Millisecond

	// oldEcho is no news any more.
	oldEcho = 10 * time.Second
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

// echoes is what the answers have told. The way back is in them too, so a queue there
// looks like one of ours; but it does not shrink when we send less.
type echoes struct {
	n       int
	last    [3]answer     // the newest first
	base    least         // of round trips
	fullFor int           // answers in a row with a queue
	since   time.Duration // when the first of those came
	cause   bool          // answers made the last cut, so they wait where our packets wait
	cutAt   time.Duration
	then    time.Duration // queue when they made it
}

// live tells whether the host answers.
func (e *echoes) live(now time.Duration) bool { return e.n > 0 && now-e.last[0].came < patience }

// tell tells whether answers say more of the queue at hand than reports do.
func (e *echoes) tell(now time.Duration) bool { return e.cause && e.live(now) }

// room tells whether answers, if there are any, allow for more.
func (e *echoes) room(now time.Duration) bool { return !e.live(now) || e.last[0].queue < calm }

// Echo takes in an answer. One that was overtaken says nothing.
func (c *Controller) Echo(now time.Duration, n Echo) {
	e := &c.echoes
	trip := now - n.Sent
	if trip < 0 || trip > oldEcho || e.n > 0 && (n.Sent <= e.last[0].sent || n.Before < e.last[0].before) {
		return
	}
	e.base.span = reportBase
	e.base.add(now, trip)
	e.note(answer{n.Sent, now, n.Before, trip - e.base.value()})
	if c.transport.live(now) {
		return
	}
	if e.fullFor >= echoLeast && now-max(c.cutAt, e.cutAt) >= echoPause {
		c.answered(now)
	}
	if e.tell(now) && c.capacity > 0 {
		c.waiting.set(now, c.capacity*(e.last[0].queue-trip).Seconds()+8*float64(n.InFlight))
	}
}

func (e *echoes) note(a answer) {
	copy(e.last[1:], e.last[:])
	e.last[0] = a
	e.n = min(e.n+1, len(e.last))
	if a.queue <= full {
		e.fullFor = 0
		return
	}
	if e.fullFor++; e.fullFor == 1 {
		e.since = a.came
	}
}

// answered cuts while the queue grows. One that stays whatever was cut is not ours, and
// counts as the path's own delay from now on.
func (c *Controller) answered(now time.Duration) {
	e := &c.echoes
	queue := e.last[0].queue
	switch long := now-e.cutAt > congestion; {
	case long && e.cause && e.since <= e.cutAt && queue > e.then/2:
		e.base.n = 0
		e.base.add(now, now-e.last[0].sent)
		e.fullFor, e.cause, c.capacity = 0, false, 0
		return
	case !long && queue < e.last[1].queue+echoGrows:
		return
	}
	c.capacity = max(leastRate, e.carried(), cutMost*c.rate)
	c.cut(now, backOff*c.capacity, Trips)
	c.cutAt, e.cutAt, e.cause, e.then = now, now, true, queue
}

// carried is the rate at which bytes passed the bottleneck between the answers at hand:
// they come as far apart as those bytes kept it busy.
func (e *echoes) carried() float64 {
	first := e.last[e.n-1]
	passed := (e.last[0].came - first.came).Seconds()
	if passed <= 0 {
		return 0
	}
	return 8 * float64(e.last[0].before-first.before) / passed
}
