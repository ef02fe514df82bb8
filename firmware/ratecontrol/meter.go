// How fast bytes go, and how long they take at least.

package ratecontrol

import "time"

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

func (m *meter) addBytes(at time.Duration, size int) {
	if m.n == meterSlots {
		m.dropOldest()
	}
	i := (m.from + m.n) % meterSlots
	m.at[i], m.size[i] = at, size
	m.n++
	m.sum += size
}

func (m *meter) dropOldest() {
	m.sum -= m.size[m.from]
	m.from = (m.from + 1) % meterSlots
	m.n--
}

// bitrate is over the span that ends at now.
func (m *meter) bitrate(now time.Duration) float64 {
	for m.n > 0 && m.at[m.from] <= now-m.span {
		m.dropOldest()
	}
	return 8 * float64(m.sum) / m.span.Seconds()
}

// latestTime is when the last bytes came; false: none did.
func (m *meter) latestTime() (time.Duration, bool) {
	if m.n == 0 {
		return 0, false
	}
	return m.at[(m.from+m.n-1)%meterSlots], true
}

// A baseDelay is the least delay of a while: that of an empty path. It forgets what is
// older than one to two spans, since routes and clocks change.
type baseDelay struct {
	span      time.Duration
	now, then time.Duration // the least of this span, of the one before
	since     time.Duration
	n         int // spans that have a value: 0 to 2
}

func (b *baseDelay) addDelay(at, delay time.Duration) {
	switch {
	case b.n == 0:
		b.now, b.since, b.n = delay, at, 1
	case at-b.since > b.span:
		b.then, b.now, b.since, b.n = b.now, delay, at, 2
	default:
		b.now = min(b.now, delay)
	}
}

// leastDelay is the base; a delay must have been added.
func (b *baseDelay) leastDelay() time.Duration {
	if b.n == 2 {
		return min(b.now, b.then)
	}
	return b.now
}
