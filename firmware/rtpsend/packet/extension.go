// Header extensions: the capture time, so that a receiver knows it without waiting for a
// report, and the transport-wide number of a packet, so that it can report the arrival of
// each one. Spec: RFC 8285 section 4.2, RFC 6051 section 3.3,
// draft-holmer-rmcat-transport-wide-cc-extensions-01 section 2.

package packet

import "encoding/binary"

const (
	// CaptureTimeURI and TransportURI name the extensions in SDP.
	CaptureTimeURI = "urn:ietf:params:rtp-hdrext:ntp-64"
	TransportURI   = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

	// MaxExtensionID is the highest ID of the one-byte form.
	MaxExtensionID = 14

	// CaptureTimeSize is what the capture time takes in a packet: ID and length, NTP time.
	CaptureTimeSize = 1 + 8

	extensionHeader = 4      // profile and length in words
	oneByteProfile  = 0xbede // RFC 8285 section 4.2
	transportSize   = 1 + 2  // ID and length, number
)

// PutExtensions writes what a packet bears behind its RTP header and returns how long that
// is. The transport number comes first, where SetTransportNumber finds it. An ID of 0 leaves
// its extension out, and so does a capture time of 0, which is NTP time.
func PutExtensions(b []byte, transportID, captureID uint8, captured uint64) int {
	n := extensionHeader
	if transportID != 0 {
		b[n], b[n+1], b[n+2] = transportID<<4|2-1, 0, 0
		n += transportSize
	}
	if captureID != 0 && captured != 0 {
		b[n] = captureID<<4 | 8 - 1
		binary.BigEndian.PutUint64(b[n+1:], captured)
		n += CaptureTimeSize
	}
	if n == extensionHeader {
		return 0
	}
	for ; n%4 != 0; n++ {
		b[n] = 0
	}
	binary.BigEndian.PutUint16(b, oneByteProfile)
	binary.BigEndian.PutUint16(b[2:], uint16(n-extensionHeader)/4)
	return n
}

// SetTransportNumber numbers a packet that was written with a transport extension.
func SetTransportNumber(packet []byte, number uint16) {
	binary.BigEndian.PutUint16(packet[HeaderSize+extensionHeader+1:], number)
}
