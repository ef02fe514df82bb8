// Transport-wide feedback: which packets arrived, and when. Takes bytes from anybody
// who passes for the receiver; allocates nothing.
// Spec: draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.

package rtpsend

import (
	"encoding/binary"
	"time"
)

const (
	// transportFormat is FMT of the feedback message (RTPFB).
	transportFormat = 15

	// transportFixed is its fixed part: header, two SSRCs, base number, count, reference
	// time and feedback count.
	transportFixed = rtcpHeaderSize + 4 + 4 + 2 + 2 + 4

	// maxStatuses bounds what a message costs: it can be about 65,535 packets, of which
	// nothing is known but the latest 1,024.
	maxStatuses = 2 * historySize

	// deltaUnit and referenceUnit are those of its times.
	deltaUnit     = 250 * time.Microsecond
	referenceUnit = 64 * time.Millisecond
)

// The statuses of a packet.
const (
	notReceived = iota
	smallDelta  // one byte without sign
	largeDelta  // two bytes with sign
)

// A feedback walks through one message: next gives the packets in order.
type feedback struct {
	number uint16 // of the next packet
	count  int    // packets left
	at     time.Duration

	chunks, deltas []byte
	chunk          uint16 // at hand
	left           int    // statuses left in it
}

// openFeedback finds chunks and deltas; not ok: they do not fit their own counts.
func openFeedback(b []byte) (f feedback, ok bool) {
	if len(b) < transportFixed {
		return f, false
	}
	f.number = binary.BigEndian.Uint16(b[12:])
	f.count = int(binary.BigEndian.Uint16(b[14:]))
	reference := int32(binary.BigEndian.Uint32(b[16:])) >> 8 // 24 bits with a sign
	f.at = time.Duration(reference) * referenceUnit
	rest := b[transportFixed:]
	n := 0
	for packets := 0; packets < f.count; n += 2 {
		if n+2 > len(rest) {
			return f, false
		}
		packets += statuses(binary.BigEndian.Uint16(rest[n:]))
	}
	f.chunks, f.deltas = rest[:n], rest[n:]
	return f, f.count > 0 && f.count <= maxStatuses
}

// statuses is how many packets a chunk is about: a run, 14 of one bit or 7 of two.
func statuses(chunk uint16) int {
	switch {
	case chunk&0x8000 == 0:
		return int(chunk & 0x1fff)
	case chunk&0x4000 == 0:
		return 14
	}
	return 7
}

// status takes the next one out of the chunks.
func (f *feedback) status() int {
	for f.left == 0 { // a run may be of none
		f.chunk = binary.BigEndian.Uint16(f.chunks)
		f.chunks = f.chunks[2:]
		f.left = statuses(f.chunk)
	}
	f.left--
	switch {
	case f.chunk&0x8000 == 0:
		return int(f.chunk >> 13 & 3)
	case f.chunk&0x4000 == 0:
		return int(f.chunk >> f.left & 1)
	}
	return int(f.chunk >> (2 * f.left) & 3)
}

// next gives the next packet, and when it arrived since the receiver's clock began, if
// it did. more is false after the last; ok is false if the message is not what it says.
func (f *feedback) next() (number uint16, arrived time.Duration, received, more, ok bool) {
	if f.count == 0 {
		return 0, 0, false, false, true
	}
	number = f.number
	f.number++
	f.count--
	switch f.status() {
	case notReceived:
		return number, 0, false, true, true
	case smallDelta:
		if len(f.deltas) < 1 {
			return 0, 0, false, false, false
		}
		f.at += time.Duration(f.deltas[0]) * deltaUnit
		f.deltas = f.deltas[1:]
	case largeDelta:
		if len(f.deltas) < 2 {
			return 0, 0, false, false, false
		}
		f.at += time.Duration(int16(binary.BigEndian.Uint16(f.deltas))) * deltaUnit
		f.deltas = f.deltas[2:]
	default: // reserved
		return 0, 0, false, false, false
	}
	return number, f.at, true, true, true
}

// takeTransport reads a message about our packets; false: it is not what it says. What
// it said before that is believed all the same. mu is held.
func (s *Sender) takeTransport(b []byte, now time.Duration) bool {
	if s.cfg.TransportID == 0 {
		s.stats.Ignored.OtherType++ // nothing of ours bears such a number
		return true
	}
	f, ok := openFeedback(b)
	if !ok {
		return false
	}
	if binary.BigEndian.Uint32(b[8:]) != s.SSRC() {
		s.stats.Ignored.OtherSSRC++
		return true
	}
	s.stats.TransportFeedback++
	return s.departures.fedBack(now, &f)
}

// fedBack hands a message on to the path, packet by packet.
func (d *departures) fedBack(now time.Duration, f *feedback) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fedAt = now
	var newest *departure
	for {
		number, arrived, received, more, ok := f.next()
		if !ok || !more {
			if newest != nil {
				d.age = now - newest.at
				if d.usually == 0 {
					d.usually = d.age
				}
				d.usually = min(d.age, d.usually+drift) // routes change
				d.path.Feedback(now, newest.at, int(d.total-newest.upTo))
			}
			return ok
		}
		n := d.numbered(number)
		p := d.at(n)
		switch {
		case p == nil || p.told: // told before, or not ours to know
		case received:
			p.told, d.passed = true, max(d.passed, n+1)
			if p.again { // it may be the answer to a request that arrived, a round trip later
				continue
			}
			if p.missing && p.media { // it was late
				d.lost = max(0, d.lost-1./lossMemory)
			}
			newest = p
			d.path.Arrived(p.at, d.unwrapped(arrived), p.size)
		default:
			d.miss(now, p)
		}
	}
}

// numbered is the latest packet's number that ends in these 16 bits; that of one which
// did not leave if there is none. mu is held.
func (d *departures) numbered(number uint16) uint64 {
	age := uint64(uint16(d.n) - number)
	if age == 0 || age > d.n {
		return d.n
	}
	return d.n - age
}

// unwrapped puts an arrival behind the one before it: the reference time begins anew
// after 2^24 units, which is 12 days. mu is held.
func (d *departures) unwrapped(arrived time.Duration) time.Duration {
	const period = 1 << 24 * referenceUnit
	for arrived+d.epoch < d.latest-period/2 {
		d.epoch += period
	}
	d.latest = arrived + d.epoch
	return d.latest
}
