// Which of several servers is right: the largest group whose error intervals share a moment
// (RFC 5905 section 11.2.1, the intersection algorithm, for a handful of servers).

package main

import "time"

// agreementSlack widens the interval of each answer: servers claim more than they keep, and a
// camera does not need it.
const agreementSlack = 100 * time.Millisecond

// A verdict is what several answers amount to.
type verdict struct {
	right    []sample // agree with each other, in their order
	wrong    []sample // the others, in their order
	majority bool     // right is more than half
}

// least and most are the bounds of what our clock may be off by, according to s.
func (s sample) least() time.Duration { return s.offset - s.distance - agreementSlack }
func (s sample) most() time.Duration  { return s.offset + s.distance + agreementSlack }

// findMajority returns the largest group that agrees; of two that are as large the one that has
// the first answer that the other lacks.
func findMajority(all []sample) verdict {
	var best verdict
	for _, at := range all { // a group's latest beginning is the beginning of one of its members
		var v verdict
		for _, s := range all {
			if s.least() <= at.least() && at.least() <= s.most() {
				v.right = append(v.right, s)
			} else {
				v.wrong = append(v.wrong, s)
			}
		}
		if len(v.right) > len(best.right) || len(v.right) == len(best.right) && isEarlier(all, v.right, best.right) {
			best = v
		}
	}
	best.majority = 2*len(best.right) > len(all)
	return best
}

// isEarlier says whether of two groups a has the first answer that is in one only.
func isEarlier(all, a, b []sample) bool {
	has := func(group []sample, s sample) bool {
		for _, g := range group {
			if g == s {
				return true
			}
		}
		return false
	}
	for _, s := range all {
		if inA, inB := has(a, s), has(b, s); inA != inB {
			return inA
		}
	}
	return false
}

// nearestToClock returns the answer that moves our clock least.
func nearestToClock(all []sample) sample {
	nearest := all[0]
	for _, s := range all[1:] {
		if s.offset.Abs() < nearest.offset.Abs() {
			nearest = s
		}
	}
	return nearest
}
