//go:build linux

// Measure: what the recordings of a run say. Pure.

package losslab

import (
	"maps"
	"slices"
	"time"
)

// A Result is one run in figures. Times are in seconds, rates in bit/s.
type Result struct {
	Scenario string `json:"scenario"`
	Sender   string `json:"sender"`
	Seed     int64  `json:"seed"`

	Source  int     `json:"source_pictures"`  // that the clip had in this time
	Sent    int     `json:"sent_pictures"`    // whose frame left the sender
	Shown   int     `json:"shown_pictures"`   // that the decoder put out, damaged ones too
	Decoded int     `json:"decoded_pictures"` // of those that were sent: their number can be read
	Intact  int     `json:"intact_pictures"`  // decoded bit by bit as without loss
	Keys    int     `json:"key_frames"`       // sent
	Freeze  float64 `json:"longest_freeze"`   // without a new picture whose number can be read
	P50     float64 `json:"delay_p50"`        // from the picture's place in the film to decoded
	P95     float64 `json:"delay_p95"`
	Max     float64 `json:"delay_max"`
	Age95   float64 `json:"age_p95"` // of all pictures of the film: until it or a newer one was decoded

	Packets int     `json:"packets"` // of RTP that left the sender, resends included
	Lost    int     `json:"packets_lost"`
	Resends int     `json:"packets_resent"`
	Rate    float64 `json:"rate"` // sent, of IP packets

	Feedback Feedback `json:"feedback"` // that reached the sender

	Bottleneck *Bottleneck `json:"bottleneck,omitempty"`
	Series     Series      `json:"series"`
}

// A Bottleneck is how a sender met a link that became narrow and wide again.
type Bottleneck struct {
	Before float64 `json:"rate_before"`    // mean of the last 5 s before the drop
	Over   float64 `json:"queue_over_300"` // seconds during which a packet was on its way for 300 ms more than the fastest
	Back   float64 `json:"back_after"`     // from the wide link to the end of a second with 90 % of Before, so 1 at least; -1: not within the run
	Steps  []Step  `json:"steps"`
}

// patience is the queueing delay that nobody should meet.
const patience = 300 * time.Millisecond

func measure(s Scenario, t trace) Result {
	r := Result{Scenario: s.Name, Feedback: t.feedback}
	begin := t.pictures[0].at
	end := begin + s.Length
	shown := r.countPictures(t, begin, end)
	all := match(t.sent, t.came)
	bytes := 0
	for _, p := range all {
		if p.at < begin || p.at > end {
			continue
		}
		r.Packets++
		bytes += p.size
		if !p.arrived {
			r.Lost++
		}
		if p.again {
			r.Resends++
		}
	}
	r.Rate = float64(bytes*8) / s.Length.Seconds()
	if len(s.Steps) == 3 {
		r.Bottleneck = bottleneck(s.Steps, all)
	}
	r.Series = series(end, all, shown)
	return r
}

// A shown picture is a new one that came out of the decoder.
type shown struct {
	number    int
	at, delay time.Duration
}

// countPictures fills in what was sent between begin and end, and what came of it.
func (r *Result) countPictures(t trace, begin, end time.Duration) []shown {
	slot := firstSlot(t.pictures)
	r.Source = int((end - begin) / interval)
	sent := map[int]sentPicture{}
	for _, p := range t.pictures {
		if p.at <= end {
			r.Sent++
			if p.key {
				r.Keys++
			}
			sent[p.number] = p
		}
	}
	delete(sent, -1) // its number cannot be read even without loss
	var out []shown
	newest := -1
	for _, p := range t.decoded {
		original, ok := sent[p.Number]
		if !ok || p.Number <= newest {
			continue
		}
		newest = p.Number
		r.Decoded++
		if p.Sum == original.sum {
			r.Intact++
		}
		at := p.At.Sub(t.start)
		out = append(out, shown{p.Number, at, at - slot - time.Duration(p.Number)*interval})
	}
	r.Shown = outputs(t.decoded, sent)
	r.Freeze = longestGap(out, begin, end).Seconds()
	r.delays(out)
	r.Age95 = ages(sent, out, slot, end)
	return out
}

// outputs counts what the decoder put out from the first to the last picture whose number
// can be read, of those that were sent: damaged ones have no number, and so no place
// before or after that.
func outputs(decoded []Picture, sent map[int]sentPicture) (n int) {
	known := func(p Picture) bool { _, ok := sent[p.Number]; return ok }
	first := slices.IndexFunc(decoded, known)
	for i := len(decoded) - 1; i >= max(first, 0); i-- {
		if known(decoded[i]) {
			return i - first + 1
		}
	}
	return 0
}

// ShownShare is that of the pictures sent that the decoder put out.
func (r Result) ShownShare() float64 { return float64(r.Shown) / float64(max(r.Sent, 1)) }

// IntactShare is that of the pictures sent that came out as they were sent.
func (r Result) IntactShare() float64 { return float64(r.Intact) / float64(max(r.Sent, 1)) }

// firstSlot is when picture 0 of the clip was due: a film runs at its pace, so no picture
// left before its time, and the fastest one shows when that was.
func firstSlot(pictures []sentPicture) time.Duration {
	var first time.Duration
	found := false
	for _, p := range pictures {
		if at := p.at - time.Duration(p.number)*interval; p.number >= 0 && (!found || at < first) {
			first, found = at, true
		}
	}
	return first
}

// longestGap is the longest time without a new picture, start and end included.
func longestGap(all []shown, begin, end time.Duration) time.Duration {
	last, longest := begin, time.Duration(0)
	for _, p := range all {
		longest = max(longest, p.at-last)
		last = p.at
	}
	return max(longest, end-last)
}

func (r *Result) delays(all []shown) {
	if len(all) == 0 {
		return
	}
	d := make([]time.Duration, len(all))
	for i, p := range all {
		d[i] = p.delay
	}
	slices.Sort(d)
	r.P50, r.P95, r.Max = rank(d, 50), rank(d, 95), rank(d, 100)
}

// rank is a percentile of sorted, not empty, in seconds.
func rank(sorted []time.Duration, percent int) float64 {
	return sorted[(len(sorted)*percent+99)/100-1].Seconds()
}

// ages is the 95th percentile, over all pictures of the film from the first one sent, of the
// time from a picture's place in it until it or a newer one came out: the delays of those that
// came out flatter a sender of which the slow ones never do, or never leave. Where nothing came
// any more it counts up to end.
func ages(sent map[int]sentPicture, out []shown, slot, end time.Duration) float64 {
	if len(sent) == 0 {
		return 0
	}
	var all []time.Duration
	for number := slices.Min(slices.Collect(maps.Keys(sent))); ; number++ {
		due := slot + time.Duration(number)*interval
		if due > end {
			break
		}
		i, _ := slices.BinarySearchFunc(out, number, func(p shown, n int) int { return p.number - n })
		at := end
		if i < len(out) {
			at = out[i].at
		}
		all = append(all, at-due)
	}
	slices.Sort(all)
	return rank(all, 95)
}

// bottleneck takes the three steps wide, narrow, wide and what was sent.
func bottleneck(steps []Step, all []transit) *Bottleneck {
	drop, wide := steps[1].At, steps[2].At
	from := max(drop-5*time.Second, 0)
	b := &Bottleneck{
		Before: rateBetween(all, from, drop),
		Over:   overlong(all, shortest(all)+patience).Seconds(),
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

// overlong is for how long some packet was on its way for more than limit.
func overlong(all []transit, limit time.Duration) (sum time.Duration) {
	type span struct{ from, to time.Duration }
	var spans []span
	for _, p := range all {
		if p.arrived && p.took > limit {
			spans = append(spans, span{p.at + limit, p.at + p.took})
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
