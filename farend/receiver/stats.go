// The numbers that are shown.

package receiver

import (
	"net/netip"
	"time"
)

// What a stream is, in the words of a status line.
const (
	stateIdle       = "idle"   // nothing is granted
	stateNobody     = "nobody" // granted, and no packet of the source came
	stateNoKeyFrame = "waiting for a key frame"
	stateDamaged    = "damaged"   // packets come, but no picture that can be shown
	stateStreaming  = "streaming" // pictures that can be shown came within senderTimeout
	stateSilent     = "silent"    // packets came and stopped, or the source said BYE
)

// state is one of these.
func (r *Receiver) state(now time.Duration) string {
	s := r.sender
	switch {
	case !r.granted:
		return stateIdle
	case s == nil:
		return stateNobody
	case r.latch.hasSaidBye(now), now-s.packetAt >= senderTimeout:
		return stateSilent
	case s.hasGoodFrame && now-s.goodFrameAt < senderTimeout:
		return stateStreaming
	case s.hasGoodFrame, s.brokenFrames > 0, s.assembler.Counters().Malformed > 0:
		return stateDamaged
	}
	return stateNoKeyFrame
}

// Stats are counts since the grant; the caller takes differences for rates.
type Stats struct {
	State    string // idle, nobody, waiting for a key frame, damaged, streaming or silent
	Grant    uint64 // counted from 1; a new one begins all counts but Unasked at 0
	SSRC     uint32
	Source   netip.AddrPort // from where its packets come or came; not valid before they do
	Stranger netip.AddrPort // somebody else who sends here now; not valid if there is nobody
	Active   time.Duration  // in which packets came: the time that rates are of

	Packets, Bytes uint64 // RTP, duplicates included; bytes with RTP headers
	Expected       uint64
	Lost           int64 // packets; negative if more came twice than got lost (RFC 3550 A.3)
	Reordered      uint64
	Frames         uint64 // whole
	KeyFrames      uint64
	Damaged        uint64 // of Frames: whole, but what they refer to is missing or broken
	Broken         uint64 // of Frames: no decoder can read them
	LostFrames     uint64
	Malformed      uint64 // RTP, RTCP or VP8 that cannot be read
	Foreign        uint64 // from somebody else, of another SSRC or of another payload type
	ByesIgnored    uint64 // after which the source went on: somebody else's
	Forged         uint64 // under SRTP: of another key, changed on its way; RTCP sent before
	Repeated       uint64 // under SRTP: RTP with a number that came before; not authenticated
	Unasked        uint64 // RTP and RTCP while nothing was granted, since the receiver was made
	SenderReports  uint64
	Reports, PLIs  uint64 // sent
	Feedback       uint64 // messages about each packet's arrival, sent
	NACKs          uint64 // packets that were requested again, each as often as it was
	Healed         uint64 // of these packets: came after all

	Jitter        time.Duration
	DelaySum      time.Duration // capture to whole frame, over DelayCount frames
	DelayCount    uint64
	Width, Height int
	Record        string // file, while it is written
	Problem       string // why it is not recorded
}

// Stats may be called at any time, also after End.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.stats
	t.State = r.state(r.elapsed())
	t.ByesIgnored += r.latch.byesIgnored
	if r.latch.held {
		t.Source = r.latch.from
	}
	if r.strangers.present {
		t.Stranger = r.strangers.first
	}
	if s := r.sender; s != nil {
		s.addStats(&t)
		if s.record != nil {
			t.Record = s.record.Name()
		}
	}
	if r.recordError != nil {
		t.Problem = r.recordError.Error()
	}
	return t
}

// addStats adds what this sender counted.
func (s *sender) addStats(t *Stats) {
	c := s.assembler.Counters()
	t.Packets += s.sequence.received
	t.Expected += s.sequence.expectedCount()
	t.Lost += s.sequence.lostCount()
	t.Reordered += s.sequence.reordered
	t.Bytes += s.bytes
	t.Frames += s.frames
	t.KeyFrames += s.keyFrames
	t.Damaged += s.damaged
	t.Broken += s.brokenFrames
	t.Active += s.active
	t.LostFrames += c.Lost
	t.Malformed += c.Malformed + c.Oversized
	t.NACKs += s.nacks
	t.Feedback += s.feedback
	t.Healed += s.healed
	t.DelaySum += s.delaySum
	t.DelayCount += s.delayCount
	t.SSRC, t.Width, t.Height = s.ssrc, s.width, s.height
	t.Jitter = time.Duration(s.sequence.jitter * float64(time.Second) / clockRate)
}
