// Whether packets are lost because they are too large.

package pathsize

import "time"

const (
	// lossesMin packets of judgeSpan and burstsMin bursts must be lost, and nothing as large arrive
	// since the first of them, while smaller ones arrive around each. Where packets are lost by chance,
	// 12 of 12 is one of 4,096 at 50 % loss; a queue that is full loses small ones, too.
	lossesMin = 12
	burstsMin = 3
	judgeSpan = time.Second

	// around is how near in time a smaller packet must have left that arrived: else the path itself
	// may have been down.
	around = 500 * time.Millisecond

	// burstGap lies between two bursts.
	burstGap = 20 * time.Millisecond

	// lossTimeout: what was lost longer ago says nothing of the path now.
	lossTimeout = 10 * time.Second

	lossesKept = 64
)

// A loss is a packet that did not arrive.
type loss struct {
	at             time.Duration // when it left
	size           int
	before, behind bool // one that left shortly before it, or after, has arrived
}

// A Judge is told of each packet what became of it, in the order in which they left. Its zero value
// knows nothing.
type Judge struct {
	losses    [lossesKept]loss
	n         int
	arrivedAt time.Duration // when the latest left that arrived
	arrived   bool          // any
}

// NoteLoss takes a packet that left at at and did not arrive.
func (j *Judge) NoteLoss(at time.Duration, size int) {
	if j.n == lossesKept {
		copy(j.losses[:], j.losses[1:])
		j.n--
	}
	j.losses[j.n] = loss{at: at, size: size, before: j.arrived && at-j.arrivedAt < around}
	j.n++
}

// NoteArrival takes one that arrived, and says whether size is what keeps others from arriving. After
// true the Judge begins anew.
func (j *Judge) NoteArrival(at time.Duration, size int) (tooLarge bool) {
	j.arrived, j.arrivedAt = true, at
	kept := j.losses[:0]
	for _, l := range j.losses[:j.n] {
		if l.size <= size || at-l.at > lossTimeout { // it was not the size
			continue
		}
		l.behind = l.behind || at-l.at < around
		kept = append(kept, l)
	}
	j.n = len(kept)
	if !j.isBlackHole() {
		return false
	}
	*j = Judge{}
	return true
}

func (j *Judge) isBlackHole() bool {
	count, bursts := 0, 0
	var first, last time.Duration
	for _, l := range j.losses[:j.n] {
		if !l.before || !l.behind {
			continue
		}
		if count == 0 {
			first = l.at
		}
		if count == 0 || l.at-last > burstGap {
			bursts++
		}
		count, last = count+1, l.at
	}
	return count >= lossesMin && bursts >= burstsMin && last-first >= judgeSpan
}
