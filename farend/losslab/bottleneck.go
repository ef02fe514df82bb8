//go:build linux

// A bottleneck's figures. Pure.

package losslab

import (
	"slices"
	"time"
)

// A Bottleneck is how a sender met a link that became narrow and wide again.
type Bottleneck struct {
	// Before is the mean rate of the last 5 s before the drop.
	Before float64 `json:"rate_before"`
	// Over is for how many seconds a packet was on its way for 300 ms more than the fastest.
	Over float64 `json:"queue_over_300"`
	// Back is from the wide link to the end of a second with 90 % of Before, so at least 1;
	// -1: not within the run.
	Back  float64 `json:"back_after"`
	Steps []Step  `json:"steps"`
}

// queueDelayLimit is the delay in a queue that spoils a live picture.
const queueDelayLimit = 300 * time.Millisecond

// measureBottleneck takes the three steps wide, narrow, wide and what was sent.
func measureBottleneck(steps []Step, all []transit) *Bottleneck {
	drop, wide := steps[1].At, steps[2].At
	from := max(drop-5*time.Second, 0)
	b := &Bottleneck{
		Before: rateBetween(all, from, drop),
		Over:   timeOverLimit(all, shortestTransit(all)+queueDelayLimit).Seconds(),
		Back:   -1, Steps: steps,
	}
	last := time.Duration(0)
	for _, p := range all {
		last = max(last, p.at)
	}
	for at := wide + time.Second; at <= last; at += 50 * time.Millisecond {
		if rateBetween(all, at-time.Second, at) >= 0.9*b.Before {
			b.Back = (at - wide).Seconds()
			break
		}
	}
	return b
}

// rateBetween is the bit/s sent from one moment to another.
func rateBetween(all []transit, from, to time.Duration) float64 {
	bytes := 0
	for _, p := range all {
		if p.at >= from && p.at < to {
			bytes += p.size
		}
	}
	return float64(bytes*8) / (to - from).Seconds()
}

// timeOverLimit is how long there was a packet that had been on its way for more than limit.
func timeOverLimit(all []transit, limit time.Duration) (sum time.Duration) {
	type span struct{ from, to time.Duration }
	var spans []span
	for _, p := range all {
		if p.arrived && p.duration > limit {
			spans = append(spans, span{p.at + limit, p.at + p.duration})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
	covered := time.Duration(0)
	for _, s := range spans {
		if from := max(s.from, covered); s.to > from {
			sum += s.to - from
			covered = s.to
		}
	}
	return sum
}
