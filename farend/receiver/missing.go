// Which packets are missing, and when to ask for them again. Pure: time is passed in.
// Spec: RFC 4585 sections 6.2.1 and 3.5.

package receiver

import (
	"slices"
	"time"
)

const (
	// askAfter lets packets that overtook each other arrive by themselves.
	askAfter = 10 * time.Millisecond
	// askAgain is a round trip of a network that is worth it, and a frame.
	askAgain = 60 * time.Millisecond
	// askTimes bounds what a source that does not resend is told.
	askTimes = 3
)

// A gap is one packet that did not come.
type gap struct {
	seq          uint16
	since, asked time.Duration
	times        int
}

// A missing list holds the gaps within the window of the Assembler, oldest first.
type missing []gap

// arrived notes the packet seq after highest, the highest before it; healed: it fills
// a gap that was asked for.
func (m *missing) arrived(seq, highest uint16, now time.Duration) (healed bool) {
	ahead := int16(seq - highest)
	if ahead <= 0 {
		i := slices.IndexFunc(*m, func(g gap) bool { return g.seq == seq })
		if i < 0 {
			return false
		}
		healed = (*m)[i].times > 0
		*m = slices.Delete(*m, i, i+1)
		return healed
	}
	for s := seq - uint16(min(ahead, reorder)) + 1; s != seq; s++ {
		*m = append(*m, gap{seq: s, since: now})
	}
	*m = slices.DeleteFunc(*m, func(g gap) bool { return seq-g.seq >= reorder })
	return false
}

// due gives the packets to ask for now and notes that they were.
func (m missing) due(now time.Duration) (ask []uint16) {
	for i := range m {
		g := &m[i]
		if now-g.since < askAfter || g.times == askTimes || g.times > 0 && now-g.asked < askAgain {
			continue
		}
		g.asked, g.times = now, g.times+1
		ask = append(ask, g.seq)
	}
	return ask
}

// late gives up what is missing for longer than patience: all up to and including
// last, if any.
func (m *missing) late(now, patience time.Duration) (last uint16, any bool) {
	for len(*m) > 0 && now-(*m)[0].since > patience {
		last, any = (*m)[0].seq, true
		*m = slices.Delete(*m, 0, 1)
	}
	return last, any
}
