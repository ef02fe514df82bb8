// The packet of RFC 4588 section 4: another SSRC, sequence number and payload type, and the
// original sequence number before the payload.

package packet

import "encoding/binary"

const (
	// RTXPayloadType is of packets that are sent again by RFC 4588.
	RTXPayloadType = PayloadType + 1

	// RTXHeaderSize is the original sequence number in front of an RTX payload.
	RTXHeaderSize = 2
)

// WrapRTX writes the RTX packet around a packet of ours into dst, which needs RTXHeaderSize
// bytes more than the packet, and returns the part that is written.
func WrapRTX(dst, packet []byte, sequence uint16, ssrc uint32) []byte {
	header := HeaderLength(packet)
	b := dst[:len(packet)+RTXHeaderSize]
	copy(b, packet[:header])
	b[1] = packet[1]&markerBit | RTXPayloadType
	copy(b[header:], packet[2:4]) // the original sequence number
	copy(b[header+RTXHeaderSize:], packet[header:])
	binary.BigEndian.PutUint16(b[2:], sequence)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return b
}
