// What a receiver can do beyond RTP and RTCP, offered with start_stream and agreed to in
// its answer. Spec: RFC 8285 section 4.2 (IDs of one-byte header extensions).

package gateway

import "github.com/krazycam/krazycam/firmware/gateway/wire"

// Agreed is what of it the receiver wants. The zero Agreed is plain RTP.
type Agreed struct {
	RTX                    bool
	Transport, CaptureTime uint8 // IDs of header extensions, 1 to 14; 0: none
}

// readAgreed never fails: an addition that makes no sense is as good as none.
func readAgreed(a wire.Answer) Agreed {
	id := func(n wire.OptionalInt) uint8 {
		if n.N < 1 || n.N > 14 {
			return 0
		}
		return uint8(n.N)
	}
	g := Agreed{RTX: bool(a.RTX), Transport: id(a.Transport), CaptureTime: id(a.CaptureTime)}
	if g.Transport == g.CaptureTime {
		g.CaptureTime = 0
	}
	return g
}
