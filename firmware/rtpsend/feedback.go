// RTCP in: whom to believe, and what a report changes. Takes bytes from anybody.
// Spec: RFC 3550 section 6.4 and appendix A.2, RFC 4585 section 6.3.1, RFC 5104 4.3.1.

package rtpsend

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/pion/rtcp"
)

// maxReport is the largest RTCP packet that is read: one Ethernet frame.
const maxReport = 1500

const rtcpHeaderSize = 4

// firSeen is the latest FIR: a repeat has the number of the one it repeats, so that a
// lost request can be sent again (RFC 5104 section 4.3.1.2).
type firSeen struct {
	any    bool
	sender uint32
	number uint8
}

// receive drops what does not come from the receiver's host, is too large or too
// much, before anything of it is parsed. The port may be any: GStreamer sends from
// another one than it listens on.
func (s *Sender) receive(b []byte, from netip.AddrPort) {
	now := s.cfg.Monotonic()
	s.mu.Lock()
	defer s.mu.Unlock()
	ignored := &s.stats.Ignored
	switch {
	case from.Addr().Unmap().WithZone("") != s.cfg.RTCP.Addr().WithZone(""):
		ignored.Stranger++
	case len(b) > maxReport:
		ignored.TooLarge++
	case !s.quota.take(now):
		ignored.TooMany++
	default:
		s.read(b, now)
	}
}

// read decrypts a packet where that is agreed, and acts on it. mu is held.
func (s *Sender) read(b []byte, now time.Duration) {
	size := len(b)
	if s.cfg.cloak != nil {
		var err error
		if b, err = s.cfg.cloak.openRTCP(b); err != nil {
			s.stats.Ignored.Forged++
			return
		}
	}
	if !wellFormed(b) {
		s.stats.Ignored.Malformed++
		return
	}
	s.session.members = 2 // we and the receiver
	s.breaker.heard(now)
	s.doubt.hear(now)
	s.average(size)
	for len(b) > 0 {
		n := partSize(b)
		if !s.take(b[:n], now) {
			s.stats.Ignored.Malformed++
		}
		b = b[n:]
	}
}

// partSize is how long the part at the start of b says it is.
func partSize(b []byte) int {
	return rtcpHeaderSize + 4*int(binary.BigEndian.Uint16(b[2:]))
}

// wellFormed checks that b is a sequence of RTCP packets that fill it exactly
// (appendix A.2). It need not start with a report: Janus sends a bare PLI, which RFC
// 5506 calls reduced size.
func wellFormed(b []byte) bool {
	for first := true; first || len(b) > 0; first = false {
		// Types 192 to 223 are RTCP's (RFC 5761 section 4).
		if len(b) < rtcpHeaderSize || b[0]>>6 != 2 || b[1] < 192 || b[1] > 223 {
			return false
		}
		n := partSize(b)
		padding := b[0]&0x20 != 0
		if n > len(b) || padding && n < len(b) { // only the last part is padded
			return false
		}
		b = b[n:]
	}
	return true
}

// take acts on one part; false: it is not what its type says. mu is held.
func (s *Sender) take(b []byte, now time.Duration) bool {
	count := b[0] & 0x1f
	switch rtcp.PacketType(b[1]) {
	case rtcp.TypeReceiverReport:
		var p rtcp.ReceiverReport
		if p.Unmarshal(b) != nil {
			return false
		}
		s.takeReceptions(p.Reports, now)
	case rtcp.TypeSenderReport:
		var p rtcp.SenderReport
		if p.Unmarshal(b) != nil {
			return false
		}
		s.takeReceptions(p.Reports, now)
	case rtcp.TypePayloadSpecificFeedback:
		return s.takeFeedback(b, count, now)
	case rtcp.TypeTransportSpecificFeedback:
		switch count {
		case rtcp.FormatTLN:
			return s.takeNACK(b, now)
		case transportFormat:
			return s.takeTransport(b, now)
		}
		s.stats.Ignored.OtherType++
	case rtcp.TypeGoodbye:
		s.stats.BYEs++
		s.session.members = 1
	case rtcp.TypeSourceDescription: // who the receiver is changes nothing
	default:
		s.stats.Ignored.OtherType++
	}
	return true
}

// takeReceptions keeps the figures about our stream.
func (s *Sender) takeReceptions(reports []rtcp.ReceptionReport, now time.Duration) {
	for _, r := range reports {
		if r.SSRC != s.SSRC() {
			s.stats.Ignored.OtherSSRC++
			continue
		}
		s.stats.Reports++
		s.doubt.owes = true
		s.stats.Loss = float64(r.FractionLost) / 256
		s.stats.Lost = int32(r.TotalLost<<8) >> 8 // 24 bits with a sign: rtpbin says -1 on a clean link
		s.stats.Jitter = ofTicks(r.Jitter)
		s.stats.HighestSequence = r.LastSequenceNumber
		s.departures.reported(now, uint16(r.LastSequenceNumber), s.stats.Loss)
		s.broke(s.breaker.report(now, r.LastSequenceNumber, s.stats.Loss, s.stats.RTT, s.stats.Packets, s.stats.Octets))
		if r.LastSenderReport == 0 { // none has reached the receiver yet
			continue
		}
		if rtt, ok := s.srs.roundTrip(now, r.LastSenderReport, r.Delay); ok {
			s.stats.RTT = rtt
		}
	}
}

// takeFeedback turns PLI and FIR into a request for a key frame, and passes REMB on.
func (s *Sender) takeFeedback(b []byte, format uint8, now time.Duration) bool {
	switch format {
	case rtcp.FormatPLI:
		var p rtcp.PictureLossIndication
		if p.Unmarshal(b) != nil {
			return false
		}
		if p.MediaSSRC != s.SSRC() {
			s.stats.Ignored.OtherSSRC++
			return true
		}
		s.stats.PLIs++
		s.keyFrames.requestByReceiver()
	case rtcp.FormatFIR:
		var p rtcp.FullIntraRequest
		if p.Unmarshal(b) != nil {
			return false
		}
		for _, e := range p.FIR {
			s.takeFIR(p.SenderSSRC, e)
		}
	case estimateFormat:
		return s.takeEstimate(b, now)
	default:
		s.stats.Ignored.OtherType++
	}
	return true
}

func (s *Sender) takeFIR(sender uint32, e rtcp.FIREntry) {
	seen := firSeen{any: true, sender: sender, number: e.SequenceNumber}
	switch {
	case e.SSRC != s.SSRC():
		s.stats.Ignored.OtherSSRC++
	case s.fir == seen:
		s.stats.FIRRepeats++
	default:
		s.fir = seen
		s.stats.FIRs++
		s.keyFrames.requestByReceiver()
	}
}
