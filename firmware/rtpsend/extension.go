// The capture time in the packets themselves, so that a receiver knows it without
// waiting for a report. Pure. Spec: RFC 6051 section 3.3, RFC 8285 section 4.2.

package rtpsend

import "encoding/binary"

// CaptureTimeURI names the extension in SDP.
const CaptureTimeURI = "urn:ietf:params:rtp-hdrext:ntp-64"

// captureTimeSize is what the extension adds to a header:
//
//	4 profile and length + 1 ID and length + 8 NTP time + 3 padding = 16
const captureTimeSize = 4 + 1 + 8 + 3

// putCaptureTime writes the extension with ID id (1 to 14) behind an RTP header.
func putCaptureTime(b []byte, id uint8, ntp uint64) {
	_ = b[captureTimeSize-1]
	binary.BigEndian.PutUint16(b, 0xbede)
	binary.BigEndian.PutUint16(b[2:], (captureTimeSize-4)/4)
	b[4] = id<<4 | 8 - 1
	binary.BigEndian.PutUint64(b[5:], ntp)
	b[13], b[14], b[15] = 0, 0, 0
}
