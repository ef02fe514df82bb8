// The RTP header, read without allocation. What is in it is anybody's word.
// Spec: RFC 3550 section 5.1, RFC 8285 sections 4.2 and 4.3 (header extensions).

package receiver

import "encoding/binary"

const (
	rtpHeaderMin = 12 // bytes

	extensionBit = 0x10
	paddingBit   = 0x20
	markerBit    = 0x80

	oneByteExtensions = 0xbede
	twoByteExtensions = 0x1000 // in the upper 12 bits; the rest is the application's
)

// A header is what the receiver reads of a packet; its slices are within the packet.
type header struct {
	marker      bool
	payloadType uint8
	number      uint16
	timestamp   uint32
	ssrc        uint32
	size        int    // bytes before the payload
	payload     []byte // without padding
	profile     uint16 // of the extensions
	extensions  []byte
}

// isRTP says whether a datagram can be RTP: RTCP on RTP's port is none (RFC 5761 section 4:
// payload types 64 to 95).
func isRTP(b []byte) bool {
	if len(b) < rtpHeaderMin || b[0]>>6 != 2 {
		return false
	}
	t := b[1] & 0x7f
	return t < 64 || t > 95
}

// isRTCP says whether a datagram can be RTCP (RFC 5761 section 4: packet types 192 to 223).
func isRTCP(b []byte) bool {
	return len(b) >= 8 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223
}

// ssrcOfRTP is for what isRTP.
func ssrcOfRTP(b []byte) uint32 { return binary.BigEndian.Uint32(b[8:]) }

// ssrcOfRTCP is the sender's of the first packet, for what isRTCP: SRTCP leaves it readable, too.
func ssrcOfRTCP(b []byte) uint32 { return binary.BigEndian.Uint32(b[4:]) }

// parseHeader is not ok for what ends in its header or in its padding.
func parseHeader(b []byte) (h header, ok bool) {
	if !isRTP(b) {
		return h, false
	}
	h = header{
		marker: b[1]&markerBit != 0, payloadType: b[1] & 0x7f, number: binary.BigEndian.Uint16(b[2:]),
		timestamp: binary.BigEndian.Uint32(b[4:]), ssrc: binary.BigEndian.Uint32(b[8:]),
		size: rtpHeaderMin + 4*int(b[0]&0x0f),
	}
	if b[0]&extensionBit != 0 {
		if len(b) < h.size+4 {
			return h, false
		}
		h.profile = binary.BigEndian.Uint16(b[h.size:])
		end := h.size + 4 + 4*int(binary.BigEndian.Uint16(b[h.size+2:]))
		if end > len(b) {
			return h, false
		}
		h.extensions, h.size = b[h.size+4:end], end
	}
	if h.size > len(b) {
		return h, false
	}
	h.payload = b[h.size:]
	if b[0]&paddingBit != 0 {
		if len(h.payload) == 0 {
			return h, false
		}
		padding := int(h.payload[len(h.payload)-1])
		if padding == 0 || padding > len(h.payload) {
			return h, false
		}
		h.payload = h.payload[:len(h.payload)-padding]
	}
	return h, true
}

// extension gives the data of a header extension, nil if the packet has none of this ID.
func (h *header) extension(id uint8) []byte {
	switch {
	case id == 0:
		return nil
	case h.profile == oneByteExtensions:
		return findOneByte(h.extensions, id)
	case h.profile&0xfff0 == twoByteExtensions:
		return findTwoByte(h.extensions, id)
	}
	return nil
}

func findOneByte(b []byte, id uint8) []byte {
	for len(b) > 0 {
		if b[0] == 0 { // padding
			b = b[1:]
			continue
		}
		one, size := b[0]>>4, int(b[0]&0x0f)+1
		if one == 15 || 1+size > len(b) { // RFC 8285 section 4.2: 15 ends the list
			return nil
		}
		if one == id {
			return b[1 : 1+size]
		}
		b = b[1+size:]
	}
	return nil
}

func findTwoByte(b []byte, id uint8) []byte {
	for len(b) > 0 {
		if b[0] == 0 {
			b = b[1:]
			continue
		}
		if len(b) < 2 || 2+int(b[1]) > len(b) {
			return nil
		}
		if b[0] == id {
			return b[2 : 2+int(b[1])]
		}
		b = b[2+int(b[1]):]
	}
	return nil
}
