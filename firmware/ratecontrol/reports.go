// Reception reports and requests for lost packets: all that plain AVP has.
// Spec: RFC 3550 section 6.4.1, RFC 4585 section 6.2.1.

package ratecontrol

import "time"

const (
	// A report comes up to a frame interval after the packet that it names, and that
	// after a way back: marks are wider than those of transport feedback.
	reportQueueLow  = 60 * time.Millisecond
	reportQueueHigh = 100 * time.Millisecond

	// suddenQueue is how much a queue must have grown since the report before for the path to
	// have become slow at an unknown time in between. suddenBackOff is backOff then: the
	// next report is seconds away, and a queue that grows until then is worse than a path
	// that is not filled.
	suddenQueue   = 400 * time.Millisecond
	suddenBackOff = 0.6

	// reportBaseSpan is longer than baseSpan because reports are so few.
	reportBaseSpan = 60 * time.Second

	// feedbackTimeout is how old the last report may be for the rate to grow: reports of plain
	// AVP are 2.5 to 7.5 s apart (RFC 3550 section 6.3.1). After it we assume that the receiver
	// was replaced by one that offers less.
	feedbackTimeout = 8 * time.Second
)

// A Report is what one reception report says of the path.
type Report struct {
	Loss     float64       // since the report before
	Newest   time.Duration // when the latest packet that arrived had left
	InFlight int           // bytes that left after it
	Acked    uint64        // bytes of all packets up to it
}

// reports is what they have shown.
type reports struct {
	seen     bool
	last     time.Duration
	newest   time.Duration
	acked    uint64
	base     baseDelay // of a report's age: now less Newest
	queue    time.Duration
	grew     time.Duration // queue since the report before
	goodRate float64       // the rate that the latest good report is about; 0: it was not good
}

// hasRoom says that reports, if there are any, allow for more than rate.
func (r *reports) hasRoom(now time.Duration, rate float64) bool {
	if !r.seen {
		return true // nobody reports: the owner's word counts
	}
	return now-r.last < feedbackTimeout && rate < sendHeadroom*r.goodRate
}

// NoteReport takes a reception report.
func (c *Controller) NoteReport(now time.Duration, n Report) {
	r := &c.reports
	defer func() { r.seen, r.last, r.newest, r.acked = true, now, n.Newest, n.Acked }()
	age := now - n.Newest
	r.base.span = reportBaseSpan
	r.base.addDelay(now, age)
	before := r.queue
	r.queue = age - r.base.leastDelay()
	r.grew = r.queue - before
	old := n.Newest <= c.cutAt && c.cutAt != 0 // a cut has answered what it reports
	if old || r.seen && r.newest <= c.cutAt && c.cutAt != 0 {
		n.Loss = 0
	}
	c.losses.noteReport(now, n.Loss)
	c.cutForLoss(now, n.Loss)
	if c.transport.isLive(now) || r.seen && n.Acked == r.acked {
		return // nothing new of the path, or better news elsewhere
	}
	switch {
	case old && c.capacity > 0:
		c.setBacklog(now, n)
	case r.queue > reportQueueHigh && c.echoes.isTrusted(now): // they saw it before
		r.goodRate = 0
	case r.queue > reportQueueHigh:
		c.cutForLateness(now, n)
		r.goodRate = 0
	case r.queue < reportQueueLow:
		r.goodRate = max(c.rate, c.sent.bitrate(now))
		if c.capacity > 0 {
			c.backlog.setBits(now, 0)
		}
	default:
		r.goodRate = 0
	}
}

// cutForLateness cuts to what the path seems to carry.
func (c *Controller) cutForLateness(now time.Duration, n Report) {
	r := &c.reports
	carried := r.carriedRate(now, n)
	if carried <= 0 {
		carried = c.rate / 2 // the first report: nothing to compare with
	}
	c.capacity = max(minRate, min(carried, c.rate))
	part := backOff
	if r.grew > suddenQueue {
		part = suddenBackOff
	}
	c.cutRate(now, part*c.capacity, Late)
	c.cutAt = now
	c.setBacklog(now, n)
}

// setBacklog sets what waits now: what the newest packet met and what came after it, less what
// has drained since it joined.
func (c *Controller) setBacklog(now time.Duration, n Report) {
	c.backlog.setBits(now, c.capacity*(c.reports.queue-(now-n.Newest)).Seconds()+8*float64(n.InFlight))
}

// carriedRate estimates what the path carries from what has arrived since the report
// before. If it became slow in between, nobody knows when: in the middle, say. Then of T
// seconds in which S seconds' worth of packets arrived, sent at the rate r, the last
// T-S/2 were slow and carried S/2: r*S/(2T-S).
func (r *reports) carriedRate(now time.Duration, n Report) float64 {
	passed := (now - r.last).Seconds()
	bits := 8 * float64(n.Acked-r.acked)
	if !r.seen || passed <= 0 {
		return 0
	}
	sent := (n.Newest - r.newest).Seconds()
	if r.grew <= suddenQueue || sent <= 0 || sent > passed {
		return bits / passed
	}
	return bits / (2*passed - sent)
}
