// Offers as people make them.

package rollout

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/krazycam/krazycam/farend/store"
)

// FileName is what a bundle of the update is called.
func (u Update) FileName() string {
	return path.Base(path.Clean("/krazycam-" + u.Version + "-" + u.Board + ".update"))
}

func updateOf(o store.Offer) Update {
	return Update{Version: o.Version, Board: o.Board, Index: o.Index}
}

// ParseShare reads a percentage above 0, up to 100, and gives a fraction.
func ParseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	share, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !percent || !(share > 0 && share <= 100) {
		return 0, fmt.Errorf("must be a percentage above 0 and up to 100, such as 5%%")
	}
	return share / 100, nil
}

// Put makes an offer, or changes the one of the same update for the same customer: what became of its
// boards stays. It gives the offer's ID, and whether it is new.
func Put(ctx context.Context, s *store.Store, o store.Offer) (id int64, isNew bool, _ error) {
	all, err := s.Offers(ctx)
	if err != nil {
		return 0, false, err
	}
	for _, is := range all {
		if updateOf(is) == updateOf(o) && is.Customer == o.Customer {
			o.ID, o.Made = is.ID, is.Made
			return o.ID, false, s.UpdateOffer(ctx, o)
		}
	}
	id, err = s.AddOffer(ctx, o)
	return id, true, err
}

// PutAlone is Put of a server that offers one update: the others are forgotten.
func PutAlone(ctx context.Context, s *store.Store, o store.Offer) (id int64, _ error) {
	id, _, err := Put(ctx, s, o)
	if err != nil {
		return 0, err
	}
	all, err := s.Offers(ctx)
	if err != nil {
		return 0, err
	}
	for _, is := range all {
		if is.ID == id {
			continue
		}
		if err := s.RemoveOffer(ctx, is.ID); err != nil {
			return 0, err
		}
	}
	return id, nil
}
