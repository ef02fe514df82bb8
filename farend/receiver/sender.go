// What is known of the one who sends to us (RFC 3550: a participant with its SSRC).

package receiver

import (
	"encoding/binary"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// reorderWindow is how many packets may overtake one: what comes within gapTimeout, after
// which a missing packet is given up, at 6 Mbit/s. At a lower rate the timeout ends first.
const reorderWindow = 128

// senderTimeout is when a sender that is silent counts as gone, so that another SSRC may take
// its place, and when the last picture is too old to call it streaming. A camera in the dark may
// go down to 5 fps.
const senderTimeout = 2 * time.Second

// A sender is one SSRC that sends to us. The session's lock guards it.
type sender struct {
	ssrc, ours  uint32
	payloadType uint8 // of its first packet; the protocol fixes none
	sequence    sequence
	assembler   *rtpvp8.Assembler
	delay       delayEstimate
	captures    captureTimes
	trip        roundTrip
	gaps        gapList
	arrivals    arrivals
	resends     resends

	beganAt          time.Duration
	packetAt         time.Duration // the last RTP packet
	active           time.Duration // in which packets came
	goodFrameAt      time.Duration // the last frame that a decoder could show
	hasGoodFrame     bool
	broken           bool          // a frame that refers to one that no decoder can read is no use
	pliAt            time.Duration // the last PLI that we sent; 0: none
	reportMiddle     uint32        // of the last SR, for LSR
	reportAt         time.Duration
	byeLogged        bool
	ignoredByeLogged bool

	packets, bytes           uint64 // each packet once
	duplicates, resent       uint64
	frames, keyFrames        uint64
	damaged, brokenFrames    uint64
	nacks, healed, feedback  uint64
	delaySum                 time.Duration
	delayCount               uint64
	lastDelay                time.Duration
	delayBy                  string // how that was found
	quantizer, width, height int

	freeze freeze
}

// isAlive says whether packets or reports came lately.
func (s *sender) isAlive(now time.Duration) bool {
	return now-max(s.packetAt, s.reportAt) < senderTimeout
}

// takeMedia takes a packet of the stream as it was sent; size is that of its datagram. ok: it belongs
// to the stream, first: it did not come before.
func (s *sender) takeMedia(h *header, size int, now time.Duration) (ok, first bool) {
	if s.sequence.started && h.payloadType != s.payloadType {
		return false, false
	}
	if !s.sequence.started {
		s.payloadType, s.beganAt = h.payloadType, now
	}
	started, highest, past := s.sequence.started, s.sequence.highest, s.sequence.past
	if !s.sequence.takeNumber(h.number) {
		return false, false
	}
	switch {
	case s.sequence.past != past: // it started over
		s.gaps = s.gaps[:0]
	case started:
		if g, healed := s.gaps.takeNumber(h.number, highest, now); healed {
			s.healed++
			if !s.resends.known { // else it was overtaken, and answers nothing
				s.noteTrip(g, now)
			}
		}
	}
	s.noteActive(now)
	s.sequence.updateJitter(ticks(now), h.timestamp)
	s.noteExtensions(h, now)
	return true, s.place(h, size)
}

// place puts a packet in its place unless it came before.
func (s *sender) place(h *header, size int) (first bool) {
	if !s.sequence.noteSeen(h.number) {
		s.duplicates++
		return false
	}
	s.packets++
	s.bytes += uint64(size)
	// The Assembler counts what it cannot read; nobody else needs the error.
	_ = s.assembler.Push(h.number, h.timestamp, h.marker, h.payload)
	return true
}

// noteTrip takes the round trip from a packet that was requested once: of a later one it is not known which
// request was answered.
func (s *sender) noteTrip(g gap, now time.Duration) {
	if g.nacks == 1 {
		s.trip.noteResend(now-g.nackedAt, now)
	}
}

func (s *sender) noteActive(now time.Duration) {
	if gap := now - s.packetAt; gap < senderTimeout {
		s.active += gap
	}
	s.packetAt = now
}

// noteExtensions takes the transport-wide number and the capture time. Only the first packet of a frame
// needs to bear one.
func (s *sender) noteExtensions(h *header, now time.Duration) {
	if number := h.extension(transportID); len(number) == 2 {
		s.arrivals.addPacket(s.ours, s.ssrc, binary.BigEndian.Uint16(number), now)
	}
	if ntp := h.extension(captureTimeID); len(ntp) == captureTimeSize {
		s.captures.take(h.timestamp, binary.BigEndian.Uint64(ntp))
	}
}
