//go:build linux

// A scenario: what happens to the link of a run, and what both ends agreed on.

package losslab

import (
	"fmt"
	"strings"
	"time"
)

// A Step is a bottleneck from a moment on.
type Step struct {
	At   time.Duration `json:"at"`   // ns
	Rate int           `json:"rate"` // bit/s
}

// A Scenario is one kind of run.
type Scenario struct {
	Name    string
	What    string // for people
	Link    Impairment
	Seeds   []int64
	Rate    int // bit/s, the owner's
	Length  time.Duration
	Steps   []Step        // none: no bottleneck
	Queue   time.Duration // of the bottleneck
	AVP     bool          // plain RTP/AVP: reports every few seconds, nothing else
	TWCC    bool
	NFTLoss int // percent, without a seed, instead of Link.Loss
}

// threeSeeds are for runs whose result depends on chance.
var threeSeeds = []int64{1, 2, 3}

const second = time.Second

// Scenarios are all, in the order of the table.
func Scenarios() []Scenario {
	// The rate before the drop is what a sender that starts low has found in 15 s.
	steps := []Step{{0, 1_000_000}, {15 * second, 400_000}, {25 * second, 1_000_000}}
	return []Scenario{
		{Name: "clean", What: "no loss, no delay",
			Seeds: []int64{1}, Rate: 600_000, Length: 15 * second},
		{Name: "loss5", What: "5 % random loss both ways",
			Link:  Impairment{Loss: 0.05, LossFree: second},
			Seeds: threeSeeds, Rate: 600_000, Length: 30 * second},
		{Name: "jitter", What: "30 ms delay, 10 ms jitter, 3 % loss, reordering, both ways",
			Link: Impairment{
				Loss: 0.03, Delay: 30 * time.Millisecond, Jitter: 10 * time.Millisecond, LossFree: second,
			},
			Seeds: threeSeeds, Rate: 600_000, Length: 30 * second},
		{Name: "bottleneck-twcc", What: "1000 -> 400 kbit/s for 10 s and back, 2 s queue, TWCC",
			Seeds: []int64{1}, Rate: 1_000_000, Length: 45 * second,
			Steps: steps, Queue: 2 * second, TWCC: true},
		{Name: "bottleneck-avp", What: "1000 -> 400 kbit/s for 10 s and back, 2 s queue, plain AVP",
			Seeds: []int64{1}, Rate: 1_000_000, Length: 45 * second,
			Steps: steps, Queue: 2 * second, AVP: true},
		{Name: "nft5", What: "5 % loss by nft towards the receiver, without a seed",
			NFTLoss: 5, Seeds: []int64{1}, Rate: 600_000, Length: 30 * second},
		{Name: "duplicate", What: "5 % of packets twice, 10 ms jitter, both ways",
			Link:  Impairment{Duplicate: 0.05, Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond},
			Seeds: []int64{1}, Rate: 600_000, Length: 15 * second},
	}
}

// FindScenarios gives the scenarios of these names.
func FindScenarios(names ...string) ([]Scenario, error) {
	var out []Scenario
	all := Scenarios()
next:
	for _, name := range names {
		var known []string
		for _, s := range all {
			if s.Name == name {
				out = append(out, s)
				continue next
			}
			known = append(known, s.Name)
		}
		return nil, fmt.Errorf("no scenario %q: there are %s", name, strings.Join(known, ", "))
	}
	return out, nil
}

// Lasting is the scenario with another length. The drop of a bottleneck moves with it, so that a
// third of the run lies before it.
func (s Scenario) Lasting(length time.Duration) Scenario {
	if len(s.Steps) == 3 {
		drop := min(length/3, s.Steps[1].At)
		lasts := s.Steps[2].At - s.Steps[1].At
		s.Steps = []Step{s.Steps[0], {drop, s.Steps[1].Rate}, {drop + lasts, s.Steps[2].Rate}}
	}
	s.Length = length
	return s
}
