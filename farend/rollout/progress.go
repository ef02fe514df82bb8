// What an operator sees: counts, lines of the log.

package rollout

import (
	"context"
	"fmt"
	"strings"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// Counts is how many boards are in each phase.
type Counts struct {
	Version   string `json:"version"`
	Offered   int    `json:"offered"`
	Fetching  int    `json:"fetching"`
	OnTrial   int    `json:"on_trial"`
	NotJudged int    `json:"not_judged"`
	Promoted  int    `json:"promoted"`
	FellBack  int    `json:"fell_back"`
	Stopped   bool   `json:"stopped"` // too many fell back: nobody is offered it any more
}

// String is one line for people.
func (c Counts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "update %s: offered %d, fetching %d, on trial %d", c.Version, c.Offered, c.Fetching, c.OnTrial)
	if c.NotJudged > 0 {
		fmt.Fprintf(&b, ", not judged %d", c.NotJudged)
	}
	fmt.Fprintf(&b, ", promoted %d, fell back %d", c.Promoted, c.FellBack)
	if c.Stopped {
		b.WriteString(": stopped")
	}
	return b.String()
}

// CountsOf is the state of an offer at this moment, whoever serves it.
func CountsOf(ctx context.Context, s *store.Store, o store.Offer) (Counts, error) {
	counts, err := s.OfferCounts(ctx, o.ID)
	of := func(p Phase) int { return counts[string(p)] }
	return Counts{
		Version: o.Version, Offered: of(Offered), Fetching: of(Fetching), OnTrial: of(OnTrial),
		NotJudged: of(NotJudged), Promoted: of(Promoted), FellBack: of(FellBack), Stopped: isStopped(o, counts),
	}, err
}

func (r *Rollouts) logChange(o store.Offer, b wire.Board, was, is Phase, fellBack int) {
	args := []any{"serial", b.Serial, "version", o.Version, "runs", b.Version}
	switch is {
	case FellBack:
		r.config.Log.Warn("update: fell back", append(args, "because", b.FailedBecause)...)
		if o.StopAfter > 0 && fellBack == o.StopAfter {
			r.config.Log.Error("update: stopped: nobody is offered it any more", "fell_back", fellBack)
		}
	case NotJudged:
		r.config.Log.Warn("update: went back without a verdict", args...)
	default:
		r.config.Log.Info("update: "+string(is), append(args, "was", string(was))...)
	}
}
