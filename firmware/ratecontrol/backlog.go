// What is on its way and waits in front of the bottleneck, and how fast bytes go. Pure.

package ratecontrol

import "time"

const (
	// held is how much delay may wait at the bottleneck before pictures are left out,
	// and longest for how long at a stretch: a frozen picture is worse than a late one.
	held    = 100 * time.Millisecond
	longest = 600 * time.Millisecond

	// congestion is how long after a cut the model of the queue is believed.
	congestion = 3 * time.Second
)

// A backlog models the queue at the bottleneck between two pieces of news of it.
type backlog struct {
	bits  float64
	at    time.Duration
	since time.Duration // of the hold at hand; 0: none
}

// set is news: so many bits wait at now.
func (b *backlog) set(now time.Duration, bits float64) { b.bits, b.at = max(0, bits), now }

func (b *backlog) drain(now time.Duration, capacity float64) {
	if now > b.at {
		b.bits = max(0, b.bits-capacity*(now-b.at).Seconds())
		b.at = now
	}
}

// add is a packet that joins the queue.
func (b *backlog) add(now time.Duration, size int, capacity float64) {
	if capacity > 0 {
		b.drain(now, capacity)
		b.bits += 8 * float64(size)
	}
}

// hold tells whether the picture at hand should wait for the queue to drain.
func (b *backlog) hold(now time.Duration, capacity float64) bool {
	if capacity <= 0 {
		return false
	}
	b.drain(now, capacity)
	if b.bits <= capacity*held.Seconds() {
		b.since = 0
		return false
	}
	if b.since == 0 {
		b.since = now
	}
	if now-b.since > longest { // one picture goes out
		b.since = 0
		return false
	}
	return true
}

const (
	// sendSpan is long enough for a key frame not to look like a rate; receiveSpan is
	// short enough to see a bottleneck within it.
	sendSpan    = time.Second
	receiveSpan = 400 * time.Millisecond

	// meterSlots packets in a span are 7 Mbit/s in one of a second.
	meterSlots = 1024
)

// A meter says how many bits came in its span. Its ring is memory for a stream's life.
type meter struct {
	span    time.Duration
	at      [meterSlots]time.Duration
	size    [meterSlots]int
	n, from int // slots in use, and the oldest
	sum     int
}

func (m *meter) add(at time.Duration, size int) {
	if m.n == meterSlots {
		m.drop()
	}
	i := (m.from + m.n) % meterSlots
	m.at[i], m.size[i] = at, size
	m.n++
	m.sum += size
}

func (m *meter) drop() {
	m.sum -= m.size[m.from]
	m.from = (m.from + 1) % meterSlots
	m.n--
}

// rate in bit/s over the span that ends at now.
func (m *meter) rate(now time.Duration) float64 {
	for m.n > 0 && m.at[m.from] <= now-m.span {
		m.drop()
	}
	return 8 * float64(m.sum) / m.span.Seconds()
}

// newest is when the last came; false: nothing came.
func (m *meter) newest() (time.Duration, bool) {
	if m.n == 0 {
		return 0, false
	}
	return m.at[(m.from+m.n-1)%meterSlots], true
}

// A least is the smallest delay of a while: that of an empty path. It forgets what is
// older than one to two spans, since routes and clocks change.
type least struct {
	span      time.Duration
	now, then time.Duration // the least of this span, of the one before
	since     time.Duration
	n         int // spans that have a value: 0 to 2
}

func (l *least) add(at, delay time.Duration) {
	switch {
	case l.n == 0:
		l.now, l.since, l.n = delay, at, 1
	case at-l.since > l.span:
		l.then, l.now, l.since, l.n = l.now, delay, at, 2
	default:
		l.now = min(l.now, delay)
	}
}

// value is the base; it must have been added to.
func (l *least) value() time.Duration {
	if l.n == 2 {
		return min(l.now, l.then)
	}
	return l.now
}
