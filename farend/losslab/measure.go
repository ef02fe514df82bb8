//go:build linux

// The figures of a run, from its recordings. Pure.

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

	Source  int     `json:"source_pictures"`  // in the clip in this time
	Sent    int     `json:"sent_pictures"`    // whose frame left the sender
	Shown   int     `json:"shown_pictures"`   // that the decoder put out, damaged ones too
	Decoded int     `json:"decoded_pictures"` // of those sent: their number can be read
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

func measureRun(s Scenario, t trace) Result {
	r := Result{Scenario: s.Name, Feedback: t.feedback}
	begin := t.pictures[0].at
	end := begin + s.Length
	shown := r.countPictures(t, begin, end)
	all := matchTransits(t.sent, t.came)
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
		if p.repeated {
			r.Resends++
		}
	}
	r.Rate = float64(bytes*8) / s.Length.Seconds()
	if len(s.Steps) == 3 {
		r.Bottleneck = measureBottleneck(s.Steps, all)
	}
	r.Series = makeSeries(end, all, shown)
	return r
}

// A shown picture is a new one that came out of the decoder.
type shownPicture struct {
	number    int
	at, delay time.Duration
}

// countPictures counts what was sent between begin and end, and what came out.
func (r *Result) countPictures(t trace, begin, end time.Duration) []shownPicture {
	slot := firstSlot(t.pictures)
	r.Source = int((end - begin) / pictureInterval)
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
	var out []shownPicture
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
		out = append(out, shownPicture{p.Number, at, at - slot - time.Duration(p.Number)*pictureInterval})
	}
	r.Shown = countOutputs(t.decoded, sent)
	r.Freeze = longestGap(out, begin, end).Seconds()
	r.setDelays(out)
	r.Age95 = ageP95(sent, out, slot, end)
	return out
}

// countOutputs counts what the decoder put out from the first to the last picture whose number
// can be read, of those that were sent: damaged ones have no number, and so no place
// before or after that.
func countOutputs(decoded []Picture, sent map[int]sentPicture) (n int) {
	known := func(p Picture) bool { _, ok := sent[p.Number]; return ok }
	first := slices.IndexFunc(decoded, known)
	for i := len(decoded) - 1; i >= max(first, 0); i-- {
		if known(decoded[i]) {
			return i - first + 1
		}
	}
	return 0
}

// ShownShare is the share of the pictures sent that the decoder put out.
func (r Result) ShownShare() float64 { return float64(r.Shown) / float64(max(r.Sent, 1)) }

// IntactShare is the share of the pictures sent that came out as they were sent.
func (r Result) IntactShare() float64 { return float64(r.Intact) / float64(max(r.Sent, 1)) }

// firstSlot is when picture 0 of the clip was due. A film runs at its pace, so no picture left
// before its time, and the fastest one shows when that was.
func firstSlot(pictures []sentPicture) time.Duration {
	var first time.Duration
	found := false
	for _, p := range pictures {
		if at := p.at - time.Duration(p.number)*pictureInterval; p.number >= 0 && (!found || at < first) {
			first, found = at, true
		}
	}
	return first
}

// longestGap is the longest time without a new picture, start and end included.
func longestGap(all []shownPicture, begin, end time.Duration) time.Duration {
	last, longest := begin, time.Duration(0)
	for _, p := range all {
		longest = max(longest, p.at-last)
		last = p.at
	}
	return max(longest, end-last)
}

func (r *Result) setDelays(all []shownPicture) {
	if len(all) == 0 {
		return
	}
	d := make([]time.Duration, len(all))
	for i, p := range all {
		d[i] = p.delay
	}
	slices.Sort(d)
	r.P50, r.P95, r.Max = percentile(d, 50), percentile(d, 95), percentile(d, 100)
}

// percentile is one of sorted, in seconds; sorted is not empty.
func percentile(sorted []time.Duration, percent int) float64 {
	return sorted[(len(sorted)*percent+99)/100-1].Seconds()
}

// ageP95 is the 95th percentile, over all pictures of the film from the first one sent, of the
// time from a picture's place in the film until it or a newer one came out. The delays alone
// would flatter a sender whose slow pictures never come out, or never leave. Where nothing came
// any more, it counts up to end.
func ageP95(sent map[int]sentPicture, out []shownPicture, slot, end time.Duration) float64 {
	if len(sent) == 0 {
		return 0
	}
	var all []time.Duration
	for number := slices.Min(slices.Collect(maps.Keys(sent))); ; number++ {
		due := slot + time.Duration(number)*pictureInterval
		if due > end {
			break
		}
		i, _ := slices.BinarySearchFunc(out, number, func(p shownPicture, n int) int { return p.number - n })
		at := end
		if i < len(out) {
			at = out[i].at
		}
		all = append(all, at-due)
	}
	slices.Sort(all)
	return percentile(all, 95)
}
