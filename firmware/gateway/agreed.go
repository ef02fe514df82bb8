// What a receiver can do beyond RTP and RTCP, offered with start_stream and agreed to in
// its answer. Spec: RFC 8285 section 4.2 (IDs of one-byte header extensions).

package gateway

// The names of what a source offers.
const (
	OfferRTX         = "rtx"    // resends by RFC 4588, payload type 97
	OfferTransport   = "twcc"   // transport-wide numbers, for feedback on each packet's arrival
	OfferCaptureTime = "ntp-64" // RFC 6051
)

// Agreed is what of it the receiver wants. The zero Agreed is plain RTP.
type Agreed struct {
	RTX                    bool
	Transport, CaptureTime uint8 // IDs of header extensions, 1 to 14; 0: none
}

// readAgreed never fails: an addition that makes no sense is as good as none.
func readAgreed(a answer) Agreed {
	id := func(n optional) uint8 {
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
