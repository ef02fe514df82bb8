// What the receiver wants of the additions that the source offered with start_stream.
// Spec: RFC 8285 section 4.2 (IDs of one-byte header extensions).

package gateway

import "github.com/krazycam/krazycam/firmware/gateway/wire"

// Agreed is what the receiver wants of the offer. The zero Agreed is plain RTP.
type Agreed struct {
	RTX                    bool
	Transport, CaptureTime uint8 // IDs of header extensions, 1 to 14; 0: none
}

// readAgreed never fails: an addition that makes no sense counts as not said.
func readAgreed(a wire.Answer) Agreed {
	extensionID := func(n wire.OptionalInt) uint8 {
		if n.N < 1 || n.N > 14 {
			return 0
		}
		return uint8(n.N)
	}
	g := Agreed{
		RTX:         bool(a.RTX),
		Transport:   extensionID(a.Transport),
		CaptureTime: extensionID(a.CaptureTime),
	}
	if g.Transport == g.CaptureTime {
		g.CaptureTime = 0
	}
	return g
}
