// Which packets are missing, and when to request them again. Pure: time is passed in.
// Spec: RFC 4585 sections 6.2.1 and 3.5.

package receiver

import (
	"slices"
	"time"
)

const (
	// nackDelay lets packets that overtook each other arrive by themselves.
	nackDelay = 10 * time.Millisecond
	// nackInterval is a round trip over which resends come in time, and a frame.
	nackInterval = 60 * time.Millisecond
	// nackTriesMax bounds the requests to a sender that does not resend.
	nackTriesMax = 3
)

// A gap is one packet that did not come.
type gap struct {
	number          uint16
	since, nackedAt time.Duration
	nacks           int
}

// gapList holds the gaps within the window of the Assembler, oldest first.
type gapList []gap

// takeNumber notes that a packet came; highest is the highest number before it. healed has
// the gap that it fills, if that was requested.
func (l *gapList) takeNumber(number, highest uint16, now time.Duration) (healed gap, ok bool) {
	ahead := int16(number - highest)
	if ahead <= 0 {
		return l.fill(number)
	}
	for n := number - uint16(min(ahead, reorderWindow)) + 1; n != number; n++ {
		*l = append(*l, gap{number: n, since: now})
	}
	*l = slices.DeleteFunc(*l, func(g gap) bool { return number-g.number >= reorderWindow })
	return gap{}, false
}

// fill ends the gap of a packet that came; ok: it had been requested.
func (l *gapList) fill(number uint16) (filled gap, ok bool) {
	i := l.index(number)
	if i < 0 {
		return gap{}, false
	}
	filled = (*l)[i]
	*l = slices.Delete(*l, i, i+1)
	return filled, filled.nacks > 0
}

// wasRequested says whether a packet is missing and was requested.
func (l gapList) wasRequested(number uint16) bool {
	i := l.index(number)
	return i >= 0 && l[i].nacks > 0
}

func (l gapList) index(number uint16) int {
	return slices.IndexFunc(l, func(g gap) bool { return g.number == number })
}

// takeDue appends the packets to request now to numbers and notes that they were.
func (l gapList) takeDue(numbers []uint16, now time.Duration) []uint16 {
	for i := range l {
		g := &l[i]
		if now-g.since < nackDelay || g.nacks == nackTriesMax || g.nacks > 0 && now-g.nackedAt < nackInterval {
			continue
		}
		g.nackedAt, g.nacks = now, g.nacks+1
		numbers = append(numbers, g.number)
	}
	return numbers
}

// dropLate gives up what is missing for longer than timeout: all up to and including last, if
// any.
func (l *gapList) dropLate(now, timeout time.Duration) (last uint16, any bool) {
	for len(*l) > 0 && now-(*l)[0].since > timeout {
		last, any = (*l)[0].number, true
		*l = slices.Delete(*l, 0, 1)
	}
	return last, any
}
