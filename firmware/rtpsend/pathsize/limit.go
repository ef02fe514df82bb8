// Package pathsize decides how large the packets of a stream may be, so that they fit the path to the
// receiver although nobody says how large that is: routers that should report it often cannot, because
// a firewall drops their ICMP (RFC 2923 calls such a path a black hole).
//
// A Limit combines what the owner wants, what the kernel knows of this machine's interface, and what a
// Judge has found. The Judge looks at the packets that arrived and those that did not: where all large
// ones are lost and small ones arrive, size is the cause and not congestion. Both are pure: times
// (CLOCK_MONOTONIC) are passed in, nothing is allocated and nothing logged. Sizes are bytes of IP
// packets.
//
// Sources: RFC 8085 section 3.2 (message sizes), RFC 8899 sections 3 and 4.3 (black holes), RFC 1122
// section 3.3.2 (what every host takes).
package pathsize

const (
	// DefaultDatagram is the most bytes of UDP payload where nothing is known of the path. With
	// headers it is 1,228 bytes of IPv4 and 1,248 of IPv6, whose least MTU is 1,280 (RFC 8200 section
	// 5): PPPoE (1,492), mobile networks (1,358 to 1,430), WireGuard (1,420) and tunnels in tunnels
	// carry it whole. WebRTC and QUIC chose the same.
	DefaultDatagram = 1200

	// Small is what every host takes whole (RFC 1122 section 3.3.2) and no path is known to split:
	// the last step down.
	Small = 576

	// Largest is an Ethernet frame's.
	Largest = 1500

	// floor is the smallest MTU that the kernel believes in (min_pmtu of route(7)), so that a forged
	// ICMP packet cannot make packets of a few bytes.
	floor = 552
)

// A Limit is the largest packet of one stream.
type Limit struct {
	wanted    int // by the owner, or the default
	most      int // wanted, or less after steps down
	byDefault int // what fits nearly every path
	mtu       int // of this machine's way out, as far as the kernel knows; 0: not known
}

// NewLimit begins with what the owner wants, 0: what fits nearly every path. headerSize is that of IP
// and UDP.
func NewLimit(wanted, headerSize int) Limit {
	byDefault := DefaultDatagram + headerSize
	if wanted == 0 {
		wanted = byDefault
	}
	return Limit{wanted: wanted, most: wanted, byDefault: byDefault}
}

// Size is the largest packet now.
func (l *Limit) Size() int {
	if l.mtu == 0 {
		return l.most
	}
	return min(l.most, max(l.mtu, floor))
}

// NoteMTU takes what the kernel knows of the path: the interface's MTU, which changes with the way out
// (a VPN, another uplink), in both directions: then steps down are forgotten. 0 is no news.
func (l *Limit) NoteMTU(mtu int) {
	if mtu == 0 || mtu == l.mtu {
		return
	}
	if l.mtu != 0 { // it is another way out, of which nothing is known
		l.most = l.wanted
	}
	l.mtu = mtu
}

// StepDown makes packets smaller after they were found not to arrive: first what fits nearly every
// path, then what fits every one. false: they are as small already.
func (l *Limit) StepDown() bool {
	switch size := l.Size(); {
	case size > l.byDefault:
		l.most = l.byDefault
	case size > Small:
		l.most = Small
	default:
		return false
	}
	return true
}
