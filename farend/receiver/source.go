// What is known of one SSRC, and the numbers that are shown.

package receiver

import (
	"time"

	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// reorder is how many packets may overtake one: gapPatience, after which what is missing
// is given up, at 6 Mbit/s. Below that rate the patience ends first.
const reorder = 128

// A source is one SSRC that sends to us. The Receiver's lock guards it.
type source struct {
	ssrc        uint32
	payloadType uint8 // of its first packet; the protocol fixes none
	sequence    sequence
	assembler   *rtpvp8.Assembler
	delay       delayEstimate
	record      *ivf
	replyPLI    time.Duration // when the last PLI went out
	began       time.Duration
	packetAt    time.Duration // the last RTP packet
	goodAt      time.Duration // the last frame that a decoder could show
	good        bool          // there was one
	missing     missing
	arrivals    arrivals
	bye         bool

	reportMiddle uint32 // of the last SR, for LSR
	reportAt     time.Duration

	bytes, frames, keyFrames, damaged, delayed uint64
	nacks, healed, feedback                    uint64
	delays                                     time.Duration
	width, height                              int
}

// alive tells whether another SSRC must wait.
func (s *source) alive(now time.Duration) bool {
	return !s.bye && now-max(s.packetAt, s.reportAt) < silence
}

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
	Again          uint64 // under SRTP: RTP of a number that came before, as from a source that repeats what may be lost; not authenticated
	Unasked        uint64 // RTP and RTCP while nothing was granted, since the receiver was made
	SenderReports  uint64
	Reports, PLIs  uint64 // sent
	Feedback       uint64 // messages about each packet's arrival, sent
	NACKs          uint64 // packets that were asked for again, each counted as often as it was
	Healed         uint64 // of these packets: came after all

	Jitter        time.Duration
	Delays        time.Duration // capture to whole frame, sum over Delayed frames
	Delayed       uint64
	Width, Height int
	Record        string // file, while it is written
	Problem       string // why it is not recorded
}

// addTo adds what this source counted.
func (s *source) addTo(t *Stats) {
	c := s.assembler.Counters()
	t.Packets += s.sequence.received
	t.Expected += s.sequence.expected()
	t.Lost += s.sequence.lost()
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
	t.Delays += s.delays
	t.Delayed += s.delayed
	t.SSRC, t.Width, t.Height = s.ssrc, s.width, s.height
	t.Jitter = time.Duration(s.sequence.jitter * float64(time.Second) / clockRate)
}

// Stats may be called at any time, also after End.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.stats
	t.State = "idle"
	if r.begun {
		t.State = "waiting"
	}
	if s := r.source; s != nil {
		s.addTo(&t)
		if s.sequence.started {
			t.State = "silent"
		}
		if s.alive(r.now()) && s.frames > 0 {
			t.State = "streaming"
		}
		if s.record != nil {
			t.Record = s.record.file.Name()
		}
	}
	if r.problem != nil {
		t.Problem = r.problem.Error()
	}
	return t
}
