// Transport-wide feedback: when each packet arrived, by the receiver's clock. Pure.
// Spec: draft-holmer-rmcat-transport-wide-cc-extensions-01.

package ratecontrol

import "time"

const (
	// baseSpan is after how long a longer path is taken for what it is. Two clocks that
	// differ by 50 ppm drift 1 ms apart in it.
	baseSpan = 20 * time.Second

	// A delay is a queue if fullLeast batches show it, or if it is more than brimful: a
	// receiver that had no processor for a moment makes one look late. A cut leaves
	// cutMost of the rate at least, and the next one comes after cutPause at the
	// earliest, because a stream that was sent with pauses arrives at less than the path
	// carries.
	fullLeast = 2
	brimful   = 120 * time.Millisecond
	cutMost   = 0.6
	cutPause  = 200 * time.Millisecond

	// patience is how long feedback may be away while packets are on their way before
	// that is a sign in itself, and how long transport feedback counts as offered.
	patience = 700 * time.Millisecond

	// silentCut is what is left of the rate then, each patience again.
	silentCut = 0.7
)

// A transport is what transport-wide feedback has told.
type transport struct {
	seen     bool
	last     time.Duration // when feedback came
	waits    bool          // a packet left since then
	since    time.Duration // when the first of those left
	base     least         // of arrival less departure: two clocks, so only differences count
	queue    time.Duration // how much the least delayed packet of the last batch waited
	received meter         // by the receiver's clock

	fullFor int // batches in a row with a queue

	batch   int
	shorter time.Duration // the least delay of the batch at hand
}

// live tells whether each packet's arrival is known.
func (t *transport) live(now time.Duration) bool { return t.seen && now-t.last < 2*patience }

// offered tells whether the receiver gives such feedback, though it may be quiet now. One
// that was replaced by another, which does not, is forgotten.
func (t *transport) offered(now time.Duration) bool { return t.seen && now-t.last < fresh }

func (t *transport) sent(now time.Duration) {
	if !t.waits {
		t.waits, t.since = true, now
	}
}

// Arrived notes that a packet of size bytes, sent at sent, arrived at arrived by the
// receiver's clock. Packets come in the order in which they were sent; Feedback ends a batch.
func (c *Controller) Arrived(sent, arrived time.Duration, size int) {
	t := &c.transport
	delay := arrived - sent
	t.base.span = baseSpan
	t.base.add(sent, delay)
	if t.batch == 0 || delay < t.shorter {
		t.shorter = delay
	}
	t.batch++
	t.received.add(arrived, size)
}

// Feedback judges the batch. newest is when the latest packet that arrived had left,
// inFlight are the bytes that left after it.
func (c *Controller) Feedback(now, newest time.Duration, inFlight int) {
	t := &c.transport
	t.seen, t.last, t.waits = true, now, false
	if inFlight > 0 {
		t.sent(now)
	}
	if t.batch == 0 {
		return
	}
	t.queue = t.shorter - t.base.value()
	t.batch = 0
	if t.queue <= full {
		t.fullFor = 0
	} else if t.fullFor++; (t.fullFor >= fullLeast || t.queue > brimful) && now-c.cutAt >= cutPause {
		c.congested(now)
	}
	if c.capacity > 0 {
		// What waits now: what the newest packet met, what came after it, less what has
		// drained since it joined.
		c.waiting.set(now, c.capacity*(t.queue-(now-newest)).Seconds()+8*float64(inFlight))
	}
}

// congested takes the rate at which packets arrive for what the path carries: with a
// queue it is.
func (c *Controller) congested(now time.Duration) {
	arrived, ok := c.transport.received.newest()
	if !ok {
		return
	}
	c.capacity = max(leastRate, c.transport.received.rate(arrived), cutMost*c.rate)
	c.cut(now, backOff*c.capacity, Queue)
	c.cutAt = now
}

// hush cuts the rate when feedback that was there stays away while packets are on
// their way: on a path that is stuck, its absence is the news.
func (c *Controller) hush(now time.Duration) {
	t := &c.transport
	if !t.offered(now) || !t.waits || now-t.since < patience {
		return
	}
	t.since = now
	c.cut(now, silentCut*c.rate, Silence)
}
