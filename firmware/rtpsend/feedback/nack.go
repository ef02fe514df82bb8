// Generic NACK: packets that the receiver misses. Allocates nothing: this is what a receiver
// on a bad link sends most. Spec: RFC 4585 section 6.2.1.

package feedback

import (
	"encoding/binary"
	"iter"
)

// nackSize is the fixed part of a NACK: header and two SSRCs.
const nackSize = HeaderSize + 4 + 4

// Sequences are sequence numbers in the form of a NACK.
type Sequences struct{ pairs []byte }

// All gives them in order; a NACK of one Ethernet frame can hold 6,000.
func (s Sequences) All() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for b := s.pairs; len(b) >= 4; b = b[4:] {
			first, more := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
			if !yield(first) {
				return
			}
			for i := range uint16(16) { // bit i stands for first+i+1
				if more>>i&1 != 0 && !yield(first+i+1) {
					return
				}
			}
		}
	}
}

func parseNack(b []byte) (m Message, ok bool) {
	if len(b) < nackSize+4 {
		return Message{Kind: Nack}, false
	}
	return Message{Kind: Nack, Media: binary.BigEndian.Uint32(b[8:]), Missing: Sequences{b[nackSize:]}}, true
}
