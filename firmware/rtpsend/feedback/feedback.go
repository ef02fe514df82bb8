// Package feedback reads the RTCP that a receiver sends back: reports, requests for packets and
// for key frames, arrivals of packets, what the receiver believes to be able to take, BYE.
//
// It is the first stage of the way back: bytes from anybody come in, values go out, and rtpsend
// acts on them. All functions are pure. Those that a receiver on a bad link has us call most,
// for NACK and transport-wide feedback, allocate nothing.
//
// Sources: RFC 3550 section 6.4 and appendix A.2 (reports, checks), RFC 3611 section 4.4 (XR), RFC 4585 sections 6.2.1
// (NACK), 6.3.1 (PLI) and 6.4, RFC 5104 section 4.3.1 (FIR), RFC 5506 (reduced size),
// draft-alvestrand-rmcat-remb-03 section 2.2 (REMB),
// draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1 (transport-wide feedback).
package feedback

import (
	"encoding/binary"

	"github.com/pion/rtcp"
)

// HeaderSize is the header of one RTCP packet.
const HeaderSize = 4

// A Kind is what a Message is.
type Kind int

const (
	Other         Kind = iota // valid, but nothing that anybody acts on
	Reports                   // an SR or RR with reception reports
	Nack                      // packets that the receiver misses (RTPFB)
	Transport                 // when packets arrived (RTPFB)
	PictureLoss               // PLI: the receiver needs a key frame
	IntraRequest              // FIR: it needs one, and says so with a number
	MaxBitrate                // REMB: what the receiver believes to be able to take
	Goodbye                   // BYE
	Description               // SDES: who the receiver is
	ReferenceTime             // XR: a receiver's clock, for it to learn the round trip
)

// A Message is one RTCP packet of a compound. Kind says which fields are set.
type Message struct {
	Kind    Kind
	Media   uint32      // the stream that Nack, Transport and PictureLoss are about
	Sender  uint32      // who sent IntraRequest or ReferenceTime
	Reports []Report    // of Reports
	Missing Sequences   // of Nack
	Arrived Arrivals    // of Transport
	Intra   []FullIntra // of IntraRequest
	Bitrate Bitrate     // of MaxBitrate

	Reference uint32 // of ReferenceTime: the middle of an NTP time
}

// Parse reads one packet, which Split cut. Not ok: it is not what its type says; Kind is
// what that was.
func Parse(b []byte) (m Message, ok bool) {
	switch rtcp.PacketType(b[1]) {
	case rtcp.TypeReceiverReport:
		return parseReceiverReport(b)
	case rtcp.TypeSenderReport:
		return parseSenderReport(b)
	case rtcp.TypePayloadSpecificFeedback:
		switch format(b) {
		case rtcp.FormatPLI:
			return parsePictureLoss(b)
		case rtcp.FormatFIR:
			return parseIntraRequest(b)
		case estimateFormat:
			return parseEstimate(b)
		}
	case rtcp.TypeTransportSpecificFeedback:
		switch format(b) {
		case rtcp.FormatTLN:
			return parseNack(b)
		case transportFormat:
			return parseTransport(b)
		}
	case rtcp.TypeGoodbye:
		return Message{Kind: Goodbye}, true
	case rtcp.TypeSourceDescription:
		return Message{Kind: Description}, true
	case rtcp.TypeExtendedReport:
		return parseExtended(b)
	}
	return Message{Kind: Other}, true
}

// format is FMT of feedback (RFC 4585 section 6.1), and a count elsewhere.
func format(b []byte) uint8 { return b[0] & 0x1f }

// Split cuts the first packet off a compound that IsCompound has found good.
func Split(b []byte) (first, rest []byte) {
	n := size(b)
	return b[:n], b[n:]
}

// size is how long the packet at the start of b says it is.
func size(b []byte) int { return HeaderSize + 4*int(binary.BigEndian.Uint16(b[2:])) }

// IsCompound says whether b is a sequence of RTCP packets that fill it exactly (RFC 3550
// appendix A.2). It need not start with a report: Janus sends a bare PLI, which RFC 5506 calls
// reduced size.
func IsCompound(b []byte) bool {
	for first := true; first || len(b) > 0; first = false {
		// Types 192 to 223 are RTCP's (RFC 5761 section 4).
		if len(b) < HeaderSize || b[0]>>6 != 2 || b[1] < 192 || b[1] > 223 {
			return false
		}
		n := size(b)
		padding := b[0]&0x20 != 0
		if n > len(b) || padding && n < len(b) { // only the last packet is padded
			return false
		}
		b = b[n:]
	}
	return true
}
