// REMB: how much the receiver believes to be able to take. Browsers send it, Janus passes
// on the lowest of its viewers'. Spec: draft-alvestrand-rmcat-remb-03 section 2.2, RFC
// 4585 section 6.4.

package feedback

import (
	"encoding/binary"
	"math"
)

const (
	// estimateFormat is FMT of application layer feedback (PSFB), of which REMB is one.
	estimateFormat = 15
	estimateName   = "REMB"

	// estimateSize is its fixed part: header, two SSRCs, name, count of SSRCs and bitrate.
	estimateSize = HeaderSize + 4 + 4 + 4 + 1 + 3
)

// A Bitrate is an estimate for some streams together.
type Bitrate struct {
	Most    float64 // bit/s
	streams []byte
}

// IsAbout says whether a stream is one of them.
func (r Bitrate) IsAbout(ssrc uint32) bool {
	for b := r.streams; len(b) >= 4; b = b[4:] {
		if binary.BigEndian.Uint32(b) == ssrc {
			return true
		}
	}
	return false
}

func parseEstimate(b []byte) (m Message, ok bool) {
	if len(b) < estimateSize || string(b[12:16]) != estimateName {
		return Message{Kind: Other}, true
	}
	streams := b[estimateSize:]
	n := 4 * int(b[16])
	if n > len(streams) { // it does not fit its own count
		return Message{Kind: MaxBitrate}, false
	}
	mantissa := binary.BigEndian.Uint32(b[16:]) & (1<<18 - 1)
	return Message{Kind: MaxBitrate, Bitrate: Bitrate{
		Most:    math.Ldexp(float64(mantissa), int(b[17]>>2)),
		streams: streams[:n],
	}}, true
}
