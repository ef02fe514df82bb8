// Transport-wide feedback: when each packet arrived, by the receiver's clock.
// Spec: draft-holmer-rmcat-transport-wide-cc-extensions-01.

package ratecontrol

import "time"

const (
	// baseSpan is after how long a longer path is taken for what it is. Two clocks that
	// differ by 50 ppm drift 1 ms apart in it.
	baseSpan = 20 * time.Second

	// A delay is a queue if fullBatchesMin batches in a row show it, or if it is more than
	// queueSurge: a receiver that had no processor for a moment makes one batch look late. A
	// cut leaves cutFloor of the rate at least, and the next one comes after cutPause at the
	// earliest, because a stream that was sent with pauses arrives at less than the path
	// carries.
	fullBatchesMin = 2
	queueSurge     = 120 * time.Millisecond
	cutFloor       = 0.6
	cutPause       = 200 * time.Millisecond

	// feedbackGap is how long feedback may be away while packets are on their way before
	// that is a sign in itself. silenceBackOff is what is left of the rate then, and again
	// after every such gap.
	feedbackGap    = 700 * time.Millisecond
	silenceBackOff = 0.7
)

// A transport is what transport-wide feedback has shown.
type transport struct {
	seen     bool
	last     time.Duration // when feedback came
	waits    bool          // a packet left since then
	since    time.Duration // when the first of those left
	base     baseDelay     // of arrival less departure: two clocks, so only differences count
	queue    time.Duration // how much the least delayed packet of the last batch waited
	received meter         // by the receiver's clock

	fullFor int // batches in a row with a queue

	batch int           // packets in the batch at hand
	least time.Duration // delay in it
}

// isLive says that each packet's arrival is known.
func (t *transport) isLive(now time.Duration) bool { return t.seen && now-t.last < 2*feedbackGap }

// isOffered says that the receiver gives such feedback, though it may be quiet now. After
// feedbackTimeout, we assume that it was replaced by one that does not.
func (t *transport) isOffered(now time.Duration) bool { return t.seen && now-t.last < feedbackTimeout }

func (t *transport) noteSent(now time.Duration) {
	if !t.waits {
		t.waits, t.since = true, now
	}
}

// NoteArrival takes a packet of size bytes, sent at sent, that arrived at arrived by the
// receiver's clock. Packets come in the order in which they were sent; EndArrivals ends a batch.
func (c *Controller) NoteArrival(sent, arrived time.Duration, size int) {
	t := &c.transport
	delay := arrived - sent
	t.base.span = baseSpan
	t.base.addDelay(sent, delay)
	if t.batch == 0 || delay < t.least {
		t.least = delay
	}
	t.batch++
	t.received.addBytes(arrived, size)
}

// EndArrivals judges the batch. newest is when the latest packet that arrived had left,
// inFlight are the bytes that left after it.
func (c *Controller) EndArrivals(now, newest time.Duration, inFlight int) {
	t := &c.transport
	t.seen, t.last, t.waits = true, now, false
	if inFlight > 0 {
		t.noteSent(now)
	}
	if t.batch == 0 {
		return
	}
	t.queue = t.least - t.base.leastDelay()
	t.batch = 0
	if t.queue <= queueHigh {
		t.fullFor = 0
	} else if t.fullFor++; (t.fullFor >= fullBatchesMin || t.queue > queueSurge) && now-c.cutAt >= cutPause {
		c.cutForQueue(now)
	}
	if c.capacity > 0 {
		// What waits now: what the newest packet met, what came after it, less what has
		// drained since it joined.
		c.backlog.setBits(now, c.capacity*(t.queue-(now-newest)).Seconds()+8*float64(inFlight))
	}
}

// cutForQueue takes the rate at which packets arrive for what the path carries: with a
// queue it is.
func (c *Controller) cutForQueue(now time.Duration) {
	arrived, ok := c.transport.received.latestTime()
	if !ok {
		return
	}
	c.capacity = max(minRate, c.transport.received.bitrate(arrived), cutFloor*c.rate)
	c.cutRate(now, backOff*c.capacity, Queue)
	c.cutAt = now
}

// cutForSilence cuts the rate when feedback that was there stays away while packets are on
// their way: on a path that is stuck, its absence is the news.
func (c *Controller) cutForSilence(now time.Duration) {
	t := &c.transport
	if !t.isOffered(now) || !t.waits || now-t.since < feedbackGap {
		return
	}
	t.since = now
	c.cutRate(now, silenceBackOff*c.rate, Silence)
}
