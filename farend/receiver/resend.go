// Resends by RFC 4588: packets with an SSRC and numbers of their own, around the packet that was lost.
// No socket. Spec: RFC 4588 sections 4 and 5.3 (which SSRC resends have is learned).

package receiver

import (
	"encoding/binary"
	"time"
)

const (
	// resendType is the payload type of resends (docs/gateway.md).
	resendType = 97

	originalNumberSize = 2 // bytes, in front of the payload
)

// resends is what is known of a sender's resends. Its zero value knows nothing.
type resends struct {
	ssrc     uint32
	known    bool
	restored []byte // the last packet, as it was first sent
}

// takeResend takes a resend and restores the packet. ok: it is the sender's. In the clear its SSRC is learned
// from the first that brings a packet that was requested; authentic says that SRTP has proved it.
func (s *sender) takeResend(b []byte, h *header, authentic bool, now time.Duration) (first, ok bool) {
	if !s.sequence.started || len(h.payload) < originalNumberSize {
		return false, false
	}
	number := binary.BigEndian.Uint16(h.payload)
	switch r := &s.resends; {
	case r.known && h.ssrc != r.ssrc && !authentic:
		return false, false
	case !r.known && !authentic && !s.gaps.wasRequested(number):
		return false, false
	default:
		if !r.known { // what seemed to be resends until now was overtaken
			s.trip.forgetResends()
		}
		r.ssrc, r.known = h.ssrc, true
	}
	s.resent++
	s.noteActive(now)
	s.noteExtensions(h, now)
	s.restore(b, h, number)
	original, ok := parseHeader(s.resends.restored)
	if !ok || int16(s.sequence.highest-number) < 0 { // of a packet that nobody knows to be missing
		return false, false
	}
	if g, healed := s.gaps.fill(number); healed {
		s.healed++
		s.noteTrip(g, now)
	}
	return s.place(&original, len(s.resends.restored)), true
}

// restore writes the packet as it was first sent. Its header extensions are those of the resend: what
// they were at first nobody knows.
func (s *sender) restore(b []byte, h *header, number uint16) {
	p := append(s.resends.restored[:0], b[:h.size]...)
	p = append(p, h.payload[originalNumberSize:]...)
	p[0] &^= paddingBit
	p[1] = p[1]&markerBit | s.payloadType
	binary.BigEndian.PutUint16(p[2:], number)
	binary.BigEndian.PutUint32(p[8:], s.ssrc)
	s.resends.restored = p
}
