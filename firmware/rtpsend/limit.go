// How often the receiver may have a key frame, and how much RTCP is read at all.
// Pure: time is passed in. Spec: RFC 5104 section 4.3.1.2.

package rtpsend

import "time"

// keyFrameSpacing is the least time between two key frames on request: one costs as
// much as ten others, and whoever asks more often than that gets less picture.
const keyFrameSpacing = 300 * time.Millisecond

// keyFrames remembers whether a key frame is wanted and when the last one went out.
type keyFrames struct {
	wanted, any bool
	last        time.Duration
}

func (k *keyFrames) request() { k.wanted = true }

// sent notes a key frame, requested or not: it answers every request before it.
func (k *keyFrames) sent(now time.Duration) { k.wanted, k.any, k.last = false, true, now }

// take hands out the request once the last key frame is old enough. A request that
// comes too early waits; one within a round trip may be about the frame on its way.
func (k *keyFrames) take(now, rtt time.Duration) bool {
	if !k.wanted || k.any && now-k.last < max(keyFrameSpacing, rtt) {
		return false
	}
	k.sent(now)
	return true
}

// reportsPerSecond is how many RTCP packets of the receiver are parsed in a second.
// GStreamer sends two reports, loss feedback for each bad frame (30) and transport
// feedback (20, later on): twice that.
const reportsPerSecond = 100

// A quota lets reportsPerSecond pass in each second.
type quota struct {
	from time.Duration
	used int
}

func (q *quota) take(now time.Duration) bool {
	if now-q.from >= time.Second {
		q.from, q.used = now, 0
	}
	q.used++
	return q.used <= reportsPerSecond
}
