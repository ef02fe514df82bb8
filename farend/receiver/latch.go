// Which of all who send to our ports is the source. Pure: time is passed in.
// Spec: RFC 3550 section A.1 (probation); RFC 7362 (latching, and what it does not protect).

package receiver

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// minSequential packets in a row make a source valid (RFC 3550 A.1, MIN_SEQUENTIAL). One
	// that bears the announced SSRC from the asker's own address has proved more than that.
	minSequential = 2

	// otherAddressGrace is how long an address that did not ask the gateway waits, although it
	// knows the SSRC: the asker itself may be about to send.
	otherAddressGrace = 2 * time.Second

	// portChangeSilence: a NAT that gives the source a new port ends the old one at once. A
	// camera in the dark sends a frame every 200 ms.
	portChangeSilence = 400 * time.Millisecond

	// continuityEnd: after this silence nobody can say which number is due.
	continuityEnd = 10 * time.Second

	// byeSilence: a BYE without this silence after it was not the source's. byeReordered is
	// what was on its way when it was said.
	byeSilence   = 500 * time.Millisecond
	byeReordered = 100 * time.Millisecond

	// contestedMax: who wants the stream of a source that still sends is somebody else after this.
	contestedMax = time.Second
)

// What a candidate may keep until it is valid, so that its first key frame is not lost.
const (
	candidatesMax = 4
	keptMax       = 64       // packets
	keptBytesMax  = 96 << 10 // a key frame of 640x480 has about 30 KB
)

// rank says how well an address and an SSRC are known. A better one takes the stream over.
type rank int

const (
	rankNone   rank = iota // cannot be the source
	rankSSRC               // the announced SSRC, from another address than the asker's: a proxy, or an impostor
	rankFamily             // none announced, and an address of another family, which the asker may have, too
	rankAsker              // from the address that asked the gateway, with its SSRC if it announced one
)

type verdict int

const (
	verdictStranger verdict = iota
	verdictWaits            // on probation: kept
	verdictOurs
	verdictNew   // a source begins: what was kept of it is due
	verdictMoved // the source goes on from another address: likewise
)

// An arrival is the header of one RTP packet.
type arrival struct {
	from   netip.AddrPort
	ssrc   uint32
	number uint16
	at     time.Duration
	now    time.Time // the same, by the clock on the wall
}

// A latch holds on to one source. Its zero value takes whoever sends first.
type latch struct {
	announced uint32     // SSRC that the source announced to the gateway; 0: none
	asker     netip.Addr // from which it asked; not valid: unknown

	held        bool
	from        netip.AddrPort
	ssrc        uint32
	highest     uint16
	heardAt     time.Duration // last packet
	reportAt    time.Duration // last report
	byeAt       time.Duration
	saidBye     bool
	byesIgnored uint64
	candidates  []candidate
	due         [][]byte // kept packets of the source that has just begun or moved
}

// A candidate is an address and an SSRC on probation.
type candidate struct {
	from      netip.AddrPort
	ssrc      uint32
	last      uint16
	inOrder   int // packets in a row
	since, at time.Duration
	kept      [][]byte
	keptBytes int
}

// rankOf ranks an address and an SSRC.
func (l *latch) rankOf(from netip.Addr, ssrc uint32) rank {
	switch {
	case l.announced != 0 && ssrc != l.announced:
		return rankNone
	case !l.asker.IsValid() || l.isAskers(from):
		return rankAsker
	case l.announced != 0:
		return rankSSRC
	case from.Is4() == l.asker.Is4() || !from.IsValid() || l.asker.IsLoopback():
		return rankNone
	case !l.held || !l.isAskers(l.from.Addr()):
		// Asked over IPv6, told of an IPv4 receiver: its address there cannot be known.
		return rankFamily
	}
	return rankNone
}

// isAskers says whether an address is the one that asked the gateway.
func (l *latch) isAskers(from netip.Addr) bool {
	return from == l.asker || isThisMachine(from) && isThisMachine(l.asker)
}

// isThisMachine: localhost may be either.
func isThisMachine(a netip.Addr) bool {
	return a == netip.IPv6Loopback() || a == netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// reasonAgainst says why a packet is a stranger's.
func (l *latch) reasonAgainst(a arrival) string {
	switch {
	case l.announced != 0 && a.ssrc != l.announced:
		return "its SSRC is not the one that the source announced"
	case l.rankOf(a.from.Addr(), a.ssrc) == rankNone:
		return "its address is not the one that asked the gateway; if it is the source all the same " +
			"(a proxy, a second interface), --any-address takes it"
	}
	return "the source sends from another address"
}

// judge says what a packet is. datagram is copied if it is kept.
func (l *latch) judge(a arrival, datagram []byte) verdict {
	if l.held && a.from == l.from && a.ssrc == l.ssrc {
		l.hearPacket(a)
		return verdictOurs
	}
	r := l.rankOf(a.from.Addr(), a.ssrc)
	if r == rankNone {
		return verdictStranger
	}
	c := l.candidateOf(a)
	c.take(a, datagram)
	v := l.decide(c, r, a.at)
	if v == verdictNew || v == verdictMoved {
		l.hold(c, a)
	}
	return v
}

// judgeSealed is judge for a packet that SRTP has authenticated: its address may be any.
func (l *latch) judgeSealed(a arrival) verdict {
	switch {
	case l.announced != 0 && a.ssrc != l.announced:
		return verdictStranger
	case l.held && a.ssrc == l.ssrc:
		l.from = a.from
		l.hearPacket(a)
		return verdictOurs
	case l.held && !l.isGone(a.at):
		return verdictStranger
	}
	l.hold(&candidate{from: a.from, ssrc: a.ssrc}, a)
	return verdictNew
}

// decide says whether a candidate takes the stream.
func (l *latch) decide(c *candidate, r rank, now time.Duration) verdict {
	silence := now - l.heardAt
	need := minSequential
	if l.announced != 0 && r == rankAsker && !l.held {
		need = 1
	}
	switch {
	case c.inOrder < need:
		return l.refusal(c, now)
	case !l.held && (r == rankAsker || now-c.since >= otherAddressGrace):
		return verdictNew
	case !l.held:
		return verdictWaits
	case r > l.rankOf(l.from.Addr(), l.ssrc):
		return verdictNew
	case c.ssrc != l.ssrc && l.isGone(now):
		return verdictNew
	case c.ssrc != l.ssrc:
		return l.refusal(c, now)
	case silence >= continuityEnd:
		return verdictNew
	case !l.continues(c.last):
		return l.refusal(c, now)
	case l.isGone(now), c.from.Addr() == l.from.Addr() && silence >= portChangeSilence:
		return verdictMoved
	}
	return l.refusal(c, now)
}

// refusal: who contends for long with a source that sends is somebody else.
func (l *latch) refusal(c *candidate, now time.Duration) verdict {
	if l.held && !l.isGone(now) && now-c.since > contestedMax {
		return verdictStranger
	}
	return verdictWaits
}

// continues says whether a number can be the next of the source that is held (RFC 3550 A.1).
func (l *latch) continues(number uint16) bool {
	d := int16(number - l.highest)
	return d > -misorderMax && d < dropoutMax
}

func (l *latch) hold(c *candidate, a arrival) {
	l.held, l.from, l.ssrc, l.highest, l.saidBye = true, c.from, c.ssrc, a.number, false
	l.heardAt, l.reportAt = a.at, a.at
	l.due = c.kept
	l.candidates = nil
}

// takeDue gives the packets that were kept of the source that began or moved, in the order in
// which they came.
func (l *latch) takeDue() [][]byte {
	due := l.due
	l.due = nil
	return due
}

func (l *latch) hearPacket(a arrival) {
	if l.saidBye && a.at-l.byeAt > byeReordered {
		l.saidBye = false
		l.byesIgnored++
	}
	if l.continues(a.number) && int16(a.number-l.highest) < 0 { // overtaken
		l.heardAt = a.at
		return
	}
	l.heardAt, l.highest = a.at, a.number
}

// isOurReport says whether RTCP from an address is about the source that is held. Its port
// may be any; another address is believed only while its own is silent.
func (l *latch) isOurReport(from netip.Addr, ssrc uint32, now time.Duration) bool {
	if !l.held || ssrc != l.ssrc {
		return false
	}
	return from == l.from.Addr() || l.announced != 0 && now-l.reportAt >= continuityEnd
}

// takeBye notes a BYE. A second one does not begin byeReordered again.
func (l *latch) takeBye(now time.Duration) {
	if !l.saidBye {
		l.saidBye, l.byeAt = true, now
	}
}

// hasSaidBye says whether a BYE is believed: nothing came after it.
func (l *latch) hasSaidBye(now time.Duration) bool {
	return l.saidBye && now-max(l.heardAt, l.byeAt) >= byeSilence
}

// isGone says whether somebody else may take the stream.
func (l *latch) isGone(now time.Duration) bool {
	return l.hasSaidBye(now) || now-max(l.heardAt, l.reportAt) >= senderTimeout
}

// candidateOf finds a candidate, or makes one in the place of the one that was silent longest.
func (l *latch) candidateOf(a arrival) *candidate {
	for i := range l.candidates {
		if c := &l.candidates[i]; c.from == a.from && c.ssrc == a.ssrc {
			if a.at-c.at >= senderTimeout { // what was kept is of another time
				*c = candidate{from: a.from, ssrc: a.ssrc, since: a.at}
			}
			return c
		}
	}
	if len(l.candidates) == candidatesMax {
		oldest := 0
		for i, c := range l.candidates {
			if c.at < l.candidates[oldest].at {
				oldest = i
			}
		}
		l.candidates = slices.Delete(l.candidates, oldest, oldest+1)
	}
	l.candidates = append(l.candidates, candidate{from: a.from, ssrc: a.ssrc, since: a.at})
	return &l.candidates[len(l.candidates)-1]
}

// take counts a packet of a candidate and keeps it.
func (c *candidate) take(a arrival, datagram []byte) {
	switch {
	case c.inOrder > 0 && a.number == c.last: // twice
		return
	case c.inOrder > 0 && a.number == c.last+1:
		c.inOrder++
	default:
		c.inOrder = 1
	}
	c.last, c.at = a.number, a.at
	if len(c.kept) == keptMax || c.keptBytes+len(datagram) > keptBytesMax {
		c.kept, c.keptBytes = nil, 0
	}
	if len(datagram) <= keptBytesMax {
		c.kept = append(c.kept, slices.Clone(datagram))
		c.keptBytes += len(datagram)
	}
}
