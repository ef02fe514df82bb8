// REMB: how much the receiver believes to be able to take. Browsers send it, Janus passes
// on the lowest of its viewers'. Spec: draft-alvestrand-rmcat-remb-03 section 2.2, RFC
// 4585 section 6.4.

package rtpsend

import (
	"encoding/binary"
	"math"
	"time"
)

const (
	// estimateFormat is FMT of application layer feedback (PSFB), of which REMB is one.
	estimateFormat = 15
	estimateName   = "REMB"

	// estimateFixed is its fixed part: header, two SSRCs, name, count of SSRCs and bitrate.
	estimateFixed = rtcpHeaderSize + 4 + 4 + 4 + 1 + 3
)

// takeEstimate passes an estimate on to the path; false: it does not fit its own count.
// mu is held.
func (s *Sender) takeEstimate(b []byte, now time.Duration) bool {
	if len(b) < estimateFixed || string(b[12:16]) != estimateName {
		s.stats.Ignored.OtherType++
		return true
	}
	streams := b[estimateFixed:]
	if n := 4 * int(b[16]); n <= len(streams) {
		streams = streams[:n]
	} else {
		return false
	}
	for ; len(streams) > 0; streams = streams[4:] {
		if binary.BigEndian.Uint32(streams) != s.SSRC() {
			continue
		}
		mantissa := binary.BigEndian.Uint32(b[16:]) & (1<<18 - 1)
		s.stats.Estimates++
		s.departures.estimated(now, math.Ldexp(float64(mantissa), int(b[17]>>2)))
		return true
	}
	s.stats.Ignored.OtherSSRC++
	return true
}
