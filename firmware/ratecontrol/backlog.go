// What waits in front of the bottleneck, and whether pictures must wait for it.

package ratecontrol

import "time"

const (
	// holdDelay is how much delay may wait at the bottleneck before pictures are left out,
	// and maxHold for how long at a stretch: a frozen picture is worse than a late one.
	holdDelay = 100 * time.Millisecond
	maxHold   = 600 * time.Millisecond

	// backlogTrust is how long after a cut we believe the model of the queue.
	backlogTrust = 3 * time.Second
)

// A backlog models the queue at the bottleneck between two pieces of news of it.
type backlog struct {
	bits  float64
	at    time.Duration
	since time.Duration // of the hold at hand; 0: none
}

// setBits takes news: so many bits wait at now.
func (b *backlog) setBits(now time.Duration, bits float64) { b.bits, b.at = max(0, bits), now }

// drainUntil lets the bottleneck send what it can.
func (b *backlog) drainUntil(now time.Duration, capacity float64) {
	if now > b.at {
		b.bits = max(0, b.bits-capacity*(now-b.at).Seconds())
		b.at = now
	}
}

// addPacket takes a packet that joins the queue.
func (b *backlog) addPacket(now time.Duration, size int, capacity float64) {
	if capacity > 0 {
		b.drainUntil(now, capacity)
		b.bits += 8 * float64(size)
	}
}

// mustDrain says that the picture at hand should wait for the queue to drain.
func (b *backlog) mustDrain(now time.Duration, capacity float64) bool {
	if capacity <= 0 {
		return false
	}
	b.drainUntil(now, capacity)
	if b.bits <= capacity*holdDelay.Seconds() {
		b.since = 0
		return false
	}
	if b.since == 0 {
		b.since = now
	}
	if now-b.since > maxHold { // one picture goes out
		b.since = 0
		return false
	}
	return true
}
