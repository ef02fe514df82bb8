// Header extensions: the capture time, so that a receiver knows it without waiting for
// a report, and the transport-wide number of a packet, so that it can tell when each
// one arrived. Pure. Spec: RFC 8285 section 4.2, RFC 6051 section 3.3,
// draft-holmer-rmcat-transport-wide-cc-extensions-01 section 2.

package rtpsend

import "encoding/binary"

const (
	// CaptureTimeURI and TransportURI name the extensions in SDP.
	CaptureTimeURI = "urn:ietf:params:rtp-hdrext:ntp-64"
	TransportURI   = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

	extensionHeader = 4     // profile and length in words
	captureTimeSize = 1 + 8 // ID and length, NTP time
	transportSize   = 1 + 2 // ID and length, number
	maxExtensionID  = 14    // of the one-byte form

	// extensionBit is X in the first byte of an RTP header.
	extensionBit = 0x10
)

// putExtensions writes what a packet bears behind its RTP header and returns how long
// that is. The transport number comes first, where setTransport finds it. An ID of 0
// leaves its extension out, and so does a capture time of 0.
func putExtensions(b []byte, transportID, captureID uint8, ntp uint64) int {
	n := extensionHeader
	if transportID != 0 {
		b[n], b[n+1], b[n+2] = transportID<<4|2-1, 0, 0
		n += transportSize
	}
	if captureID != 0 && ntp != 0 {
		b[n] = captureID<<4 | 8 - 1
		binary.BigEndian.PutUint64(b[n+1:], ntp)
		n += captureTimeSize
	}
	if n == extensionHeader {
		return 0
	}
	for ; n%4 != 0; n++ {
		b[n] = 0
	}
	binary.BigEndian.PutUint16(b, 0xbede)
	binary.BigEndian.PutUint16(b[2:], uint16(n-extensionHeader)/4)
	return n
}

// setTransport numbers a packet that was written with a transport extension.
func setTransport(packet []byte, number uint16) {
	binary.BigEndian.PutUint16(packet[rtpHeaderSize+extensionHeader+1:], number)
}

// headerSize is how long the RTP header of a packet of ours is, extensions included.
func headerSize(packet []byte) int {
	if packet[0]&extensionBit == 0 {
		return rtpHeaderSize
	}
	return rtpHeaderSize + extensionHeader + 4*int(binary.BigEndian.Uint16(packet[rtpHeaderSize+2:]))
}
