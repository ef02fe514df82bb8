// Package admission decides which RTCP is read when more comes than a receiver sends.
//
// Whoever can write the receiver's address into a packet can flood us. What such a stranger cannot know
// is the SSRC of the stream, which is random. So what is malformed is dropped before anything counts
// it, what names another stream has a small quota of its own, and what names ours has a large one;
// the largest is kept for the source that named it first and goes on. A stranger who reads the traffic
// knows the SSRC, too: against that only SRTP helps, where packets come here after they were
// authenticated.
//
// It stands between the socket and feedback, which reads what is admitted. It is pure: times
// (CLOCK_MONOTONIC) are passed in, the caller's lock guards it, and it allocates nothing.
//
// Sources: RFC 3550 section 6.2 (how much RTCP there is), RFC 4585 section 3 (feedback).
package admission

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/feedback"
)

// How many RTCP packets are read in a second.
const (
	// KnownQuota: GStreamer sends two reports, loss feedback for each bad frame (30) and transport
	// feedback (20): twice that.
	KnownQuota = 100

	// NewQuota is of sources that name the stream but are not the one that we know: a receiver that
	// was replaced, or one that writes feedback with another SSRC than reports.
	NewQuota = 50

	// OtherQuota is of what is well-formed and not about the stream: empty reports, BYE.
	OtherQuota = 20

	// TrialQuota is of encrypted packets whose SSRC, which is in the clear, is not that of the source
	// that we know: to find one forged takes 1.4 to 3.4 us on a PC, 20 times as long on a BeagleBone
	// (an estimate).
	TrialQuota = 100

	// FirstTrialQuota is of encrypted packets while no source is known, or the known one is silent. It
	// is some 2 ms a second of a PC, 41 ms of a BeagleBone (an estimate). Less than that of forged
	// packets takes nothing from a receiver; more of them delay the first of its own that is read.
	FirstTrialQuota = 600
)

// knownTimeout: after 15 s of silence a source's place is free. A receiver that is there reports every
// 7.5 s at most (RFC 3550 section 6.3.1), and one report may be lost.
const knownTimeout = 15 * time.Second

// A Verdict is what happens to a packet.
type Verdict int

const (
	Admitted  Verdict = iota
	Malformed         // it is no RTCP
	TooMany           // of its kind in this second
)

// A Gate admits the RTCP of one stream.
type Gate struct {
	ssrc  uint32
	known source
	heard time.Duration // when the known source last named the stream
	any   bool          // known is set

	fromKnown, fromNew, other, trials quota
}

// A source is a port of the receiver's host and an SSRC: what one program uses.
type source struct {
	port uint16
	ssrc uint32
}

// NewGate admits RTCP about a stream.
func NewGate(ssrc uint32) Gate { return Gate{ssrc: ssrc} }

// Admit judges a packet from a port of the receiver's host.
func (g *Gate) Admit(now time.Duration, b []byte, port uint16) Verdict {
	if !feedback.IsCompound(b) {
		return Malformed
	}
	q := &g.other
	if from := (source{port, feedback.SenderSSRC(b)}); feedback.IsAbout(b, g.ssrc) {
		if !g.any || now-g.heard > knownTimeout {
			g.known, g.any = from, true
		}
		q = &g.fromNew
		if from == g.known {
			q, g.heard = &g.fromKnown, now
		}
	}
	if !q.take(now, g.limitOf(q)) {
		return TooMany
	}
	return Admitted
}

// AdmitTrial says whether an encrypted packet of an SSRC is worth its authentication, before Admit
// judges what was in it. Only the known source may fail as often as it likes: a stranger cannot guess
// its SSRC.
func (g *Gate) AdmitTrial(now time.Duration, ssrc uint32) bool {
	switch {
	case !g.any:
		return g.trials.take(now, FirstTrialQuota)
	case ssrc == g.known.ssrc:
		return true
	case now-g.heard > knownTimeout:
		return g.trials.take(now, FirstTrialQuota)
	}
	return g.trials.take(now, TrialQuota)
}

func (g *Gate) limitOf(q *quota) int {
	switch q {
	case &g.fromKnown:
		return KnownQuota
	case &g.fromNew:
		return NewQuota
	}
	return OtherQuota
}

// A quota counts packets of the second at hand.
type quota struct {
	second time.Duration // when it began
	taken  int
}

// take says whether one more may pass.
func (q *quota) take(now time.Duration, limit int) bool {
	if now-q.second >= time.Second {
		q.second, q.taken = now, 0
	}
	q.taken++
	return q.taken <= limit
}
