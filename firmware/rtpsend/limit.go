// How often the receiver may have a key frame, and how much RTCP is read at all.
// Pure: time is passed in. Spec: RFC 5104 section 4.3.1.2.

package rtpsend

import "time"

// keyFrameSpacing is the least time between two key frames on request: one costs as
// much as ten others, and whoever asks more often than that gets less picture.
const keyFrameSpacing = 300 * time.Millisecond

// A receiver that asks for a packet lateAsk and a round trip after it left, at most
// latestAsk, hardly gets it in time: players wait 200 ms for a packet. Then it asks for a
// key frame, and if the network loses that request the picture stays broken until the next
// loss. So after lateWait without a request a key frame comes unasked, one in lateSpacing.
const (
	lateAsk     = 130 * time.Millisecond
	latestAsk   = 500 * time.Millisecond // later ones are about a queue
	lateWait    = 300 * time.Millisecond
	lateSpacing = 2 * time.Second
)

// refresh is after how long a key frame comes unasked where packets are lost by chance:
// requests are lost there, too, and a receiver that asks once shows a broken picture until
// it misses the next packet.
const refresh = 4 * time.Second

// keyFrames remembers whether a key frame is wanted and when the last one went out.
type keyFrames struct {
	wanted, any bool
	last        time.Duration
	late        time.Duration // when a packet was asked for too late, first since last; 0: none was
}

func (k *keyFrames) request() { k.wanted = true }

// asked notes that a packet is asked for that left age ago.
func (k *keyFrames) asked(now, age, rtt time.Duration) {
	if k.late == 0 && age > lateAsk+rtt && age < latestAsk {
		k.late = now
	}
}

// sent notes a key frame, requested or not: it answers every request before it.
func (k *keyFrames) sent(now time.Duration) {
	k.wanted, k.any, k.last, k.late = false, true, now, 0
}

// take hands out the request once the last key frame is old enough. A request that
// comes too early waits; one within a round trip may be about the frame on its way.
// lossy: the path loses packets by chance.
func (k *keyFrames) take(now, rtt time.Duration, lossy bool) bool {
	if lossy && k.any && now-k.last >= refresh {
		k.wanted = true
	}
	if k.late != 0 && now-k.late >= lateWait && now-k.last >= lateSpacing {
		k.wanted = true
	}
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
