// Whether packets are lost because they are too large.

package pathsize

import "time"

const (
	// lossesMin packets of judgeSpan and burstsMin bursts must be lost, and nothing as large arrive
	// since the first of them, while smaller ones arrive around each. A queue that is full and a radio
	// that is disturbed lose small ones, too, at the same time. A verdict can be wrong: see Limit.Retry.
	lossesMin = 12
	burstsMin = 6
	judgeSpan = time.Second

	// around is how near in time a smaller packet must have left that arrived: else the path itself
	// may have been down.
	around = 500 * time.Millisecond

	// together: a smaller packet that was lost within this time says that size was not the cause. A
	// disturbed radio loses some 10 to 100 ms of packets.
	together = 100 * time.Millisecond

	// burstGap lies between two bursts.
	burstGap = 20 * time.Millisecond

	// lossTimeout: what was lost longer ago says nothing of the path now.
	lossTimeout = 10 * time.Second

	lossesKept = 64

	// runsMin runs of runMin packets in a row, lost within runsSpan, are a path that loses all sizes
	// for some time. With 10 % lost at random, runs of 5 are one of 110,000 packets.
	runsMin  = 3
	runMin   = 5
	runsSpan = time.Minute
)

// A loss is a packet that did not arrive.
type loss struct {
	at             time.Duration // when it left
	size           int
	before, behind bool // one that left shortly before it, or after, has arrived
	together       bool // a smaller one was lost with it
}

// A Judge is told of each packet what became of it, in the order in which they left. Its zero value
// knows nothing.
type Judge struct {
	losses    [lossesKept]loss
	n         int
	arrivedAt time.Duration          // when the latest left that arrived
	arrived   bool                   // any
	largest   int                    // that arrived
	run       int                    // packets lost in a row
	runs      int                    // of runMin
	runAt     [runsMin]time.Duration // of the latest runs
}

// NoteLoss takes a packet that left at at and did not arrive.
func (j *Judge) NoteLoss(at time.Duration, size int) {
	if j.run++; j.run == runMin {
		j.runAt[j.runs%runsMin] = at
		j.runs++
	}
	if j.n == lossesKept {
		copy(j.losses[:], j.losses[1:])
		j.n--
	}
	j.losses[j.n] = loss{at: at, size: size, before: j.arrived && at-j.arrivedAt < around}
	j.n++
}

// NoteArrival takes one that arrived, and says of which size and above packets do not arrive because
// of it; 0: of none.
func (j *Judge) NoteArrival(at time.Duration, size int) (tooLarge int) {
	j.arrived, j.arrivedAt, j.run = true, at, 0
	j.largest = max(j.largest, size)
	j.markLostTogether(size)
	kept := j.losses[:0]
	for _, l := range j.losses[:j.n] {
		if l.size <= size || at-l.at > lossTimeout { // it was not the size
			continue
		}
		l.behind = l.behind || at-l.at < around
		kept = append(kept, l)
	}
	j.n = len(kept)
	return j.findBlackHole()
}

// Largest is the largest packet that arrived.
func (j *Judge) Largest() int { return j.largest }

// LosesRuns says that many packets in a row were lost lately, again and again.
func (j *Judge) LosesRuns(now time.Duration) bool {
	return j.runs >= runsMin && now-j.runAt[j.runs%runsMin] < runsSpan
}

// markLostTogether looks at the losses that a packet of size which arrived is about to clear: those
// that were lost with them were not lost for their size either.
func (j *Judge) markLostTogether(size int) {
	losses := j.losses[:j.n]
	for _, small := range losses {
		if small.size > size {
			continue
		}
		for i := range losses {
			if l := &losses[i]; (l.at - small.at).Abs() < together {
				l.together = true
			}
		}
	}
}

// findBlackHole is the least size of which nothing arrives; 0: there is none.
func (j *Judge) findBlackHole() int {
	count, bursts, least := 0, 0, 0
	var first, last time.Duration
	for _, l := range j.losses[:j.n] {
		if !l.before || !l.behind || l.together {
			continue
		}
		if count == 0 {
			first, least = l.at, l.size
		}
		if count == 0 || l.at-last > burstGap {
			bursts++
		}
		count, last, least = count+1, l.at, min(least, l.size)
	}
	if count < lossesMin || bursts < burstsMin || last-first < judgeSpan {
		return 0
	}
	return least
}
