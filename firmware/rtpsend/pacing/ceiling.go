// The owner's rate as a bound of all that leaves: how many bytes may leave now.

package pacing

import "time"

const (
	// CeilingSpan is the time over which a Ceiling counts.
	CeilingSpan = 2 * time.Second

	// ceilingShare of the owner's rate is the most in any span. The promise is 1.05: timers that
	// fire late and queues on the way move packets together by some milliseconds.
	ceilingShare = 1.04

	ceilingSlot  = 10 * time.Millisecond
	ceilingSlots = int(CeilingSpan/ceilingSlot) + 1 // the slot at hand is not full yet
)

// A Ceiling bounds the bytes in any CeilingSpan. It counts in slots, and counts the oldest as long
// as a part of it is within the span: it never lets too much pass. A nil Ceiling lets
// everything pass.
type Ceiling struct {
	limit int // bytes in a span
	slots [ceilingSlots]int
	slot  int64 // of the time line, the one at hand
	sum   int   // of slots
}

// NewCeiling bounds a stream of rate bit/s.
func NewCeiling(rate int) *Ceiling {
	return &Ceiling{limit: int(ceilingShare * float64(rate) / 8 * CeilingSpan.Seconds())}
}

// advance forgets what left before the span that ends at now. Time that runs backwards stands still.
func (c *Ceiling) advance(now time.Duration) {
	slot := int64(now / ceilingSlot)
	for range min(slot-c.slot, int64(ceilingSlots)) {
		c.slot++
		c.sum -= c.slots[c.index(c.slot)]
		c.slots[c.index(c.slot)] = 0
	}
	c.slot = max(c.slot, slot)
}

// index is where a slot is; those before the clock's zero are empty.
func (c *Ceiling) index(slot int64) int {
	return int((slot%int64(ceilingSlots) + int64(ceilingSlots)) % int64(ceilingSlots))
}

// NoteSent counts size bytes that left.
func (c *Ceiling) NoteSent(now time.Duration, size int) {
	if c == nil {
		return
	}
	c.advance(now)
	c.slots[c.index(c.slot)] += size
	c.sum += size
}

// Limit is how many bytes may leave in any CeilingSpan; 0: there is no bound.
func (c *Ceiling) Limit() int {
	if c == nil {
		return 0
	}
	return c.limit
}

// Room is how many bytes may leave now; limited: there is a bound at all.
func (c *Ceiling) Room(now time.Duration) (bytes int, limited bool) {
	if c == nil {
		return 0, false
	}
	c.advance(now)
	return c.limit - c.sum, true
}

// Wait is the time until size bytes may leave; 0: they may now. What is larger than the bound
// waits until nothing else is in the span.
func (c *Ceiling) Wait(now time.Duration, size int) time.Duration {
	room, limited := c.Room(now)
	if !limited || room >= size || c.sum == 0 {
		return 0
	}
	oldest := c.slot - int64(ceilingSlots) + 1
	for i := range int64(ceilingSlots) {
		room += c.slots[c.index(oldest+i)]
		if room >= size || i == int64(ceilingSlots)-1 { // the slot leaves the span when the next takes its place
			return max(time.Duration(c.slot+1+i)*ceilingSlot-now, 1)
		}
	}
	return ceilingSlot // not reached
}
