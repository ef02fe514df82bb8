// Transport-wide feedback: which packets arrived, and when. Allocates nothing.
// Spec: draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.

package feedback

import (
	"encoding/binary"
	"time"
)

const (
	// transportFormat is FMT of the feedback message (RTPFB).
	transportFormat = 15

	// transportSize is its fixed part: header, two SSRCs, base number, count, reference
	// time and feedback count.
	transportSize = HeaderSize + 4 + 4 + 2 + 2 + 4

	// maxStatuses bounds what a message costs: it can be about 65,535 packets, of which
	// a sender remembers the latest 1,024.
	maxStatuses = 2 * 1024

	// deltaUnit and referenceUnit are those of its times.
	deltaUnit     = 250 * time.Microsecond
	referenceUnit = 64 * time.Millisecond

	// ArrivalPeriod is after how long arrivals begin anew: the reference time has 24 bits.
	ArrivalPeriod = 1 << 24 * referenceUnit
)

// The statuses of a packet.
const (
	notReceived = iota
	smallDelta  // one byte without sign
	largeDelta  // two bytes with sign
)

// Arrivals walk through one message: Next gives the packets in order.
type Arrivals struct {
	number uint16 // of the next packet
	count  int    // packets left
	at     time.Duration

	chunks, deltas []byte
	chunk          uint16 // at hand
	left           int    // statuses left in it
}

// An Arrival is what a message says of one packet.
type Arrival struct {
	Number   uint16 // transport-wide
	Received bool
	At       time.Duration // since the receiver's clock began, if Received
}

// parseTransport finds chunks and deltas; not ok: they do not fit their own counts.
func parseTransport(b []byte) (m Message, ok bool) {
	m.Kind = Transport
	if len(b) < transportSize {
		return m, false
	}
	m.Media = binary.BigEndian.Uint32(b[8:])
	a := &m.Arrived
	a.number = binary.BigEndian.Uint16(b[12:])
	a.count = int(binary.BigEndian.Uint16(b[14:]))
	reference := int32(binary.BigEndian.Uint32(b[16:])) >> 8 // 24 bits with a sign
	a.at = time.Duration(reference) * referenceUnit
	rest := b[transportSize:]
	n := 0
	for packets := 0; packets < a.count; n += 2 {
		if n+2 > len(rest) {
			return m, false
		}
		packets += chunkLength(binary.BigEndian.Uint16(rest[n:]))
	}
	a.chunks, a.deltas = rest[:n], rest[n:]
	return m, a.count > 0 && a.count <= maxStatuses
}

// chunkLength is how many packets a chunk is about: a run, 14 of one bit or 7 of two.
func chunkLength(chunk uint16) int {
	switch {
	case chunk&0x8000 == 0:
		return int(chunk & 0x1fff)
	case chunk&0x4000 == 0:
		return 14
	}
	return 7
}

// nextStatus takes the next one out of the chunks.
func (a *Arrivals) nextStatus() int {
	for a.left == 0 { // a run may be of none
		a.chunk = binary.BigEndian.Uint16(a.chunks)
		a.chunks = a.chunks[2:]
		a.left = chunkLength(a.chunk)
	}
	a.left--
	switch {
	case a.chunk&0x8000 == 0:
		return int(a.chunk >> 13 & 3)
	case a.chunk&0x4000 == 0:
		return int(a.chunk >> a.left & 1)
	}
	return int(a.chunk >> (2 * a.left) & 3)
}

// Next gives the next packet. more is false after the last; ok is false if the message is not
// what it says, which shows only there: what it said before that may be believed.
func (a *Arrivals) Next() (packet Arrival, more, ok bool) {
	if a.count == 0 {
		return Arrival{}, false, true
	}
	number := a.number
	a.number++
	a.count--
	switch a.nextStatus() {
	case notReceived:
		return Arrival{Number: number}, true, true
	case smallDelta:
		if len(a.deltas) < 1 {
			return Arrival{}, false, false
		}
		a.at += time.Duration(a.deltas[0]) * deltaUnit
		a.deltas = a.deltas[1:]
	case largeDelta:
		if len(a.deltas) < 2 {
			return Arrival{}, false, false
		}
		a.at += time.Duration(int16(binary.BigEndian.Uint16(a.deltas))) * deltaUnit
		a.deltas = a.deltas[2:]
	default: // reserved
		return Arrival{}, false, false
	}
	return Arrival{Number: number, Received: true, At: a.at}, true, true
}
