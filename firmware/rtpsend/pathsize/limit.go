// Package pathsize decides how large the packets of a stream may be, so that they fit the path to the
// receiver although nobody says how large that is: routers that should report it often cannot, because
// a firewall drops their ICMP (RFC 2923 calls such a path a black hole).
//
// A Limit combines what the owner wants, what the kernel knows of this machine's interface, and what a
// Judge has found. The Judge looks at the packets that arrived and those that did not: where all large
// ones are lost and small ones arrive, size is the cause and not congestion. It can be wrong, so that a
// step down is taken back for a trial now and then. Both are pure: times
// (CLOCK_MONOTONIC) are passed in, nothing is allocated and nothing logged. Sizes are bytes of IP
// packets.
//
// Sources: RFC 8085 section 3.2 (message sizes), RFC 8899 sections 3, 4.3 and 5.1.1 (black holes), RFC 1122
// section 3.3.2 (what every host takes).
package pathsize

import "time"

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

const (
	// A step down is taken back after one of these, then after twice as long, if the step is repeated
	// and nothing of the size to blame has arrived in between.
	runsPause  = 10 * time.Second // packets are lost in runs in spite of it
	guessPause = 3 * time.Minute  // it was a guess; the circuit breaker is quiet again by then
	foundPause = 10 * time.Minute // it seems to have helped: PMTU_RAISE_TIMER of RFC 8899 section 5.1.1

	longestPause = 24 * time.Hour
)

// A Limit is the largest packet of one stream.
type Limit struct {
	wanted    int // by the owner, or the default
	most      int // wanted, or less after steps down
	byDefault int // what fits nearly every path
	mtu       int // of this machine's way out, as far as the kernel knows; 0: not known

	steppedAt time.Duration // the latest step down
	guessed   bool          // it was a guess
	blamed    int           // packets of this size and above did not arrive; 0: nothing is to blame
	retries   int           // since one of that size arrived
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
		l.most, l.blamed, l.retries = l.wanted, 0, 0
	}
	l.mtu = mtu
}

// StepDown makes packets smaller after those of blamed bytes and above were found not to arrive: first
// what fits nearly every path, then what fits every one. false: they are as small already.
func (l *Limit) StepDown(now time.Duration, blamed int) bool {
	switch size := l.Size(); {
	case size > l.byDefault:
		l.most = l.byDefault
	case size > Small:
		l.most = Small
	default:
		return false
	}
	l.steppedAt, l.blamed, l.guessed = now, blamed, false
	return true
}

// Guess makes packets smaller where nothing arrives, in case they are too large. false: they are as
// small already, so size is not the cause and they are as large as wanted again.
func (l *Limit) Guess(now time.Duration) (smaller bool) {
	if smaller = l.StepDown(now, l.Size()); !smaller {
		l.most = l.wanted
	}
	l.guessed = smaller
	return smaller
}

// NoteArrival takes the size of a packet that left after the latest change and has arrived.
func (l *Limit) NoteArrival(size int) {
	if l.blamed != 0 && size >= l.blamed {
		l.blamed, l.retries = 0, 0
	}
}

// Retry makes packets as large as wanted again when it is time to see whether the step down was right.
// Where it was, some pictures are lost before it is found again. losesRuns: packets are lost in runs in
// spite of the step.
func (l *Limit) Retry(now time.Duration, losesRuns bool) bool {
	if l.most == l.wanted {
		return false
	}
	pause := foundPause
	switch {
	case losesRuns:
		pause = runsPause
	case l.guessed:
		pause = guessPause
	}
	if now-l.steppedAt < min(pause<<min(l.retries, 16), longestPause) {
		return false
	}
	l.most = l.wanted
	l.retries++
	return true
}
