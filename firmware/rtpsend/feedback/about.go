// Whether RTCP is about a stream at all: what a stranger who knows the receiver's address, but not
// the SSRC, cannot make up. Allocates nothing. Spec: RFC 3550 section 6.4, RFC 4585 section 6.1.

package feedback

import (
	"encoding/binary"

	"github.com/pion/rtcp"
)

const (
	ssrcSize        = 4
	senderInfoSize  = 20 // of an SR, behind its SSRC
	reportBlockSize = 24
	intraEntrySize  = 8 // of a FIR
)

// IsAbout says whether any part of a compound that IsCompound has found good names the stream where
// a message of its kind names what it is about.
func IsAbout(b []byte, ssrc uint32) bool {
	for part := []byte(nil); len(b) > 0; {
		part, b = Split(b)
		if isPartAbout(part, ssrc) {
			return true
		}
	}
	return false
}

func isPartAbout(part []byte, ssrc uint32) bool {
	switch rtcp.PacketType(part[1]) {
	case rtcp.TypeReceiverReport:
		return names(part, HeaderSize+ssrcSize, reportBlockSize, ssrc)
	case rtcp.TypeSenderReport:
		return names(part, HeaderSize+ssrcSize+senderInfoSize, reportBlockSize, ssrc)
	case rtcp.TypeTransportSpecificFeedback:
		return names(part, HeaderSize+ssrcSize, len(part), ssrc)
	case rtcp.TypePayloadSpecificFeedback:
		switch format(part) {
		case rtcp.FormatFIR:
			return names(part, nackSize, intraEntrySize, ssrc)
		case estimateFormat:
			return names(part, estimateSize, ssrcSize, ssrc)
		}
		return names(part, HeaderSize+ssrcSize, len(part), ssrc)
	}
	return false
}

// names says whether the SSRC stands at an offset, or at one of the steps behind it.
func names(part []byte, offset, step int, ssrc uint32) bool {
	for ; offset+ssrcSize <= len(part); offset += step {
		if binary.BigEndian.Uint32(part[offset:]) == ssrc {
			return true
		}
	}
	return false
}

// SenderSSRC is who wrote the first part of a compound; 0 if it does not say.
func SenderSSRC(b []byte) uint32 {
	if len(b) < HeaderSize+ssrcSize {
		return 0
	}
	return binary.BigEndian.Uint32(b[HeaderSize:])
}
