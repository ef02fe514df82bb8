// Packets, loss and jitter of one sender, counted as RFC 3550 A.1, A.3 and A.8 prescribe. No
// clock and no socket.

package receiver

import (
	"math"
	"time"
)

// RFC 3550 A.1: a jump forward of less than dropoutMax is loss, one back of less than
// misorderMax is disorder; all else is a sender that starts over, once a second packet
// confirms it.
const (
	dropoutMax  = 3000
	misorderMax = 100
	noBadNumber = 1 << 16 // no 16-bit number

	// seenSpan is how many numbers back it is known which came: more than can heal.
	seenSpan = 1024
)

// sequence is what RFC 3550 keeps for each source. Its zero value is ready.
type sequence struct {
	started       bool
	highest       uint16
	cycles        uint64 // in units of 65536
	base          uint64
	bad           uint32
	received      uint64 // duplicates and late ones included, as A.3 wants it
	reordered     uint64
	past          uint64 // packets expected before the sender started over
	expectedPrior uint64
	receivedPrior uint64
	seen          [seenSpan / 64]uint64 // bits of the last numbers, by number modulo seenSpan

	jitter  float64 // 1/90000 s
	transit uint32
	timed   bool // transit is known
}

// takeNumber notes a packet and says whether it belongs to the stream.
func (s *sequence) takeNumber(seq uint16) bool {
	delta := seq - s.highest
	switch {
	case !s.started:
		s.startAt(seq)
	case delta == 0: // twice
	case delta < dropoutMax:
		if seq < s.highest {
			s.cycles += 1 << 16
		}
		s.forgetSeen(seq)
		s.highest = seq
	case delta <= 0xffff-misorderMax+1 && uint32(seq) == s.bad:
		s.past += s.expectedSinceBase()
		s.startAt(seq)
	case delta <= 0xffff-misorderMax+1:
		s.bad = uint32(seq + 1)
		return false
	default:
		s.reordered++
	}
	s.received++
	return true
}

func (s *sequence) startAt(seq uint16) {
	s.started, s.highest, s.cycles, s.base, s.bad = true, seq, 0, uint64(seq), noBadNumber
	clear(s.seen[:])
}

// forgetSeen makes room for the numbers up to seq, the highest from now on.
func (s *sequence) forgetSeen(seq uint16) {
	if seq-s.highest >= seenSpan {
		clear(s.seen[:])
		return
	}
	for n := s.highest + 1; n != seq+1; n++ {
		s.seen[n%seenSpan/64] &^= 1 << (n % 64)
	}
}

// noteSeen says whether a number at or below the highest came for the first time. What is further
// back than seenSpan counts as seen.
func (s *sequence) noteSeen(seq uint16) (first bool) {
	if s.highest-seq >= seenSpan {
		return false
	}
	word, bit := &s.seen[seq%seenSpan/64], uint64(1)<<(seq%64)
	first = *word&bit == 0
	*word |= bit
	return first
}

func (s *sequence) expectedSinceBase() uint64 {
	if !s.started {
		return 0
	}
	return s.cycles + uint64(s.highest) - s.base + 1
}

func (s *sequence) expectedCount() uint64 { return s.past + s.expectedSinceBase() }

// lostCount may be negative: a packet that came twice counts twice (A.3).
func (s *sequence) lostCount() int64 { return int64(s.expectedCount()) - int64(s.received) }

// endInterval gives the numbers of a report block, and begins the next interval.
func (s *sequence) endInterval() (fraction uint8, lost, highest uint32) {
	expected := s.expectedCount() - s.expectedPrior
	missing := int64(expected) - int64(s.received-s.receivedPrior)
	s.expectedPrior, s.receivedPrior = s.expectedCount(), s.received
	if expected > 0 && missing > 0 {
		fraction = uint8(min(missing*256/int64(expected), 255))
	}
	// 24 bits with a sign.
	total := min(max(s.lostCount(), -1<<23), 1<<23-1)
	return fraction, uint32(total) & 0xffffff, uint32(s.cycles) | uint32(s.highest)
}

// ticks is a time in 1/90000 s, modulo 2^32. Seconds and the rest are converted one by one: ns
// x 90,000 would wrap after 57 hours, which looked like one huge jitter.
func ticks(d time.Duration) uint32 {
	return uint32(d/time.Second*clockRate + d%time.Second*clockRate/time.Second)
}

// updateJitter takes a packet's arrival and timestamp, both in 1/90000 s.
func (s *sequence) updateJitter(arrival, timestamp uint32) {
	transit := arrival - timestamp
	d := int32(transit - s.transit)
	if s.timed {
		s.jitter += (math.Abs(float64(d)) - s.jitter) / 16
	}
	s.transit, s.timed = transit, true
}
