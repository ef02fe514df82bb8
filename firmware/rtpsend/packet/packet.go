// Package packet lays out the bytes of the RTP packets that rtpsend sends: header, header
// extensions, and the packet of RFC 4588 around one that is sent again.
//
// It stands between rtpvp8, which makes payloads, and the socket. It is pure: the memory is
// the caller's, and nothing is allocated. Sizes are bytes.
//
// Sources: RFC 3550 section 5.1 (header), RFC 8285 section 4.2 (extensions), RFC 6051 section
// 3.3 (capture time), draft-holmer-rmcat-transport-wide-cc-extensions-01 section 2 (transport
// number), RFC 4588 section 4 (RTX).
package packet

import "encoding/binary"

const (
	// PayloadType is the first of the dynamic ones (RFC 3551 section 6).
	PayloadType = 96

	// ClockRate is RTP time in ticks a second (RFC 7741 section 4.1).
	ClockRate = 90_000

	// HeaderSize is an RTP header without contributing sources and extensions.
	HeaderSize = 12

	// MaxSize is the largest RTP packet: 1500 MTU - 40 IPv6 - 8 UDP.
	MaxSize = 1500 - 40 - 8
)

const (
	version      = 2 << 6
	extensionBit = 0x10 // X, in the first byte of a header
	markerBit    = 0x80 // M, in the second
)

// PutHeader writes an RTP header: version 2, no padding and no CSRC. extended says that
// header extensions follow.
func PutHeader(b []byte, extended, marker bool, sequence uint16, timestamp, ssrc uint32) {
	_ = b[HeaderSize-1]
	b[0], b[1] = version, PayloadType
	if extended {
		b[0] |= extensionBit
	}
	if marker {
		b[1] |= markerBit
	}
	binary.BigEndian.PutUint16(b[2:], sequence)
	binary.BigEndian.PutUint32(b[4:], timestamp)
	binary.BigEndian.PutUint32(b[8:], ssrc)
}

// Sequence is the sequence number of a packet.
func Sequence(packet []byte) uint16 { return binary.BigEndian.Uint16(packet[2:]) }

// HeaderLength is how long the RTP header of a packet of ours is, extensions included.
func HeaderLength(packet []byte) int {
	if packet[0]&extensionBit == 0 {
		return HeaderSize
	}
	return HeaderSize + extensionHeader + 4*int(binary.BigEndian.Uint16(packet[HeaderSize+2:]))
}
