// The numbers that are shown.

package receiver

import "time"

// Stats are counts since the grant; the caller takes differences for rates.
type Stats struct {
	State string // "idle": nothing granted; "waiting": nothing arrives; "streaming"; "silent": it stopped
	Grant uint64 // counted from 1; a new one begins all counts but Unasked at 0
	SSRC  uint32

	Packets, Bytes uint64 // RTP, duplicates included; bytes with RTP headers
	Expected       uint64
	Lost           int64 // packets; negative if more came twice than got lost (RFC 3550 A.3)
	Reordered      uint64
	Frames         uint64 // whole
	KeyFrames      uint64
	Damaged        uint64 // of Frames: whole, but what they refer to is missing
	LostFrames     uint64
	Malformed      uint64 // RTP, RTCP or VP8 that cannot be read
	Foreign        uint64 // from another SSRC or of another payload type
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
	t.State = "idle"
	if r.granted {
		t.State = "waiting"
	}
	if s := r.sender; s != nil {
		s.addStats(&t)
		if s.sequence.started {
			t.State = "silent"
		}
		if s.isAlive(r.elapsed()) && s.frames > 0 {
			t.State = "streaming"
		}
		if s.record != nil {
			t.Record = s.record.file.Name()
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
