// The updates that are offered, as the database has them.

package rollout

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	// rereadInterval is how old what is known of the offers may be: what one server learns, such as that an
	// update is stopped, the others do within that time. A board that gets its first offer is decided about
	// in the database, by what stands there at that moment.
	rereadInterval = time.Second

	// callTimeout is for what is read and written at a time while a board fetches.
	callTimeout = 3 * time.Second
)

// A Bundle is the file of an update, open.
type Bundle struct {
	Update
	Size int64
	ETag string // strong: another content has another one; without quotes
	Body interface {
		io.ReaderAt
		io.Closer
	}
}

// RolloutsConfig is what Rollouts go by. Store and Open are required.
type RolloutsConfig struct {
	Store *store.Store

	// Open opens the bundle of an offer, by what Offer.Bundle says. It checks the head and not the parts:
	// it is called for every fetch.
	Open func(bundle string) (*Bundle, error)

	// BoardOf names the board whose images a model runs, for a source that says its model only; nil:
	// such a source is offered nothing.
	BoardOf func(model string) string

	Secure bool // boards reach this server over https; without it, bundles must lie elsewhere
	Now    func() time.Time
	Log    *slog.Logger
}

// Rollouts bring the updates of a database to boards. Several servers may have the same database: counts
// and stops are of all of them. It is safe for use by several goroutines, and owns none.
type Rollouts struct {
	config RolloutsConfig
	reads  chan struct{} // of one place: whoever has it reads the offers
	known  atomic.Pointer[knownOffers]
	places chan struct{}
	stall  time.Duration
	full   atomic.Bool // logged

	mu      sync.Mutex          // guards fetches; that of a passage is taken under it
	fetches map[string]*passage // by the token of the board

	missing map[int64]string // of offers, as logged; of whoever has the place in reads
}

// knownOffers are what was read at a time. Nobody changes one.
type knownOffers struct {
	at     time.Time
	offers []offerState // the latest versions first
}

// An offerState is one offer and how many boards are in each phase.
type offerState struct {
	store.Offer
	counts  map[string]int
	missing string // why its bundle cannot be served here; "": it can, or lies elsewhere
}

// NewRollouts makes them; nothing is read yet.
func NewRollouts(c RolloutsConfig) *Rollouts {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Rollouts{config: c, reads: make(chan struct{}, 1), places: make(chan struct{}, fetchesMax),
		stall: stallTimeout, missing: map[int64]string{}, fetches: map[string]*passage{}}
}

// Offer takes what a source says of itself and gives the update that it is offered, nil for none. keyHash
// stands for its API key, host is the one that it asked, with the port. A database that does not answer
// means no offer, nor does one that is slower than ctx; the board asks again within a minute.
func (r *Rollouts) Offer(ctx context.Context, keyHash string, b wire.Board, host string) *wire.Update {
	b = b.Limited()
	kind := r.boardOf(b)
	if b.Serial == "" || b.Version == "" || kind == "" {
		return nil
	}
	u, err := r.consider(ctx, keyHash, b, kind, host)
	switch {
	case err == nil:
	case errors.Is(err, store.ErrFull):
		if r.full.CompareAndSwap(false, true) {
			r.config.Log.Warn("update: too many boards: further ones are offered nothing", "error", err)
		}
	case errors.Is(err, store.ErrUnavailable), ctx.Err() != nil: // the gateway logs that once, and not for every board
		r.config.Log.Debug("update: nothing is offered", "serial", b.Serial, "error", err)
	default:
		r.config.Log.Error("update: nothing is offered", "serial", b.Serial, "error", err)
	}
	return u
}

func (r *Rollouts) boardOf(b wire.Board) string {
	if b.Board != "" || r.config.BoardOf == nil {
		return b.Board
	}
	return r.config.BoardOf(b.Model)
}

// consider notes what a board says with every offer that is for it, and gives the first that it may have.
func (r *Rollouts) consider(ctx context.Context, keyHash string, b wire.Board, kind, host string) (
	*wire.Update, error) {
	offers, err := r.offers(ctx, kind)
	if err != nil || len(offers) == 0 {
		return nil, err
	}
	customer, err := r.config.Store.CustomerByKey(ctx, keyHash)
	if err != nil {
		return nil, err
	}
	var offered *wire.Update
	for _, o := range offers {
		if o.Customer != 0 && o.Customer != customer.ID {
			continue
		}
		token, err := r.considerOne(ctx, o, customer.ID, b)
		if errors.Is(err, store.ErrUnknown) { // the offer was removed meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		if offered == nil && token != "" {
			offered = r.update(o, token, host)
		}
	}
	return offered, nil
}

// considerOne notes what a board says of one update, and gives the token of its offer, "" for none. Most
// of the time there is nothing to write, and nothing waits for anybody.
func (r *Rollouts) considerOne(ctx context.Context, o offerState, customer int64, b wire.Board) (string, error) {
	now := r.config.Now()
	is, err := r.config.Store.OfferBoard(ctx, o.ID, customer, b.Serial)
	if errors.Is(err, store.ErrUnknown) {
		is, err = store.OfferBoard{Offer: o.ID, Customer: customer, Serial: b.Serial}, nil
	}
	if err != nil {
		return "", err
	}
	to, offered := judge(is, o.Offer, o.counts, b, now)
	if to == is && !(offered && is.Token == "") {
		return tokenIf(offered, is), nil
	}
	var was Phase
	fellBack := 0
	to, err = r.config.Store.ChangeOfferBoard(ctx, o.ID, customer, b.Serial,
		func(is store.OfferBoard, of store.Offer, counts map[string]int) (store.OfferBoard, bool) {
			was, fellBack = Phase(is.Phase), counts[string(FellBack)]
			var next store.OfferBoard
			next, offered = judge(is, of, counts, b, now)
			if offered && next.Token == "" {
				next.Token = rand.Text() // nobody else can guess it
			}
			return next, next != is
		})
	if err != nil {
		return "", err
	}
	r.known.Store(nil)
	if is := Phase(to.Phase); is != was {
		if is == FellBack {
			fellBack++
		}
		r.logChange(o.Offer, b, was, is, fellBack)
	}
	return tokenIf(offered, to), nil
}

func tokenIf(offered bool, b store.OfferBoard) string {
	if !offered {
		return ""
	}
	return b.Token
}

// update says where a board with this token gets the bundle; nil where it could not.
func (r *Rollouts) update(o offerState, token, host string) *wire.Update {
	at := o.Bundle
	if !isElsewhere(at) {
		if !r.config.Secure || o.missing != "" {
			return nil
		}
		file := PathPrefix + token + "/" + updateOf(o.Offer).FileName()
		at = (&url.URL{Scheme: "https", Host: host, Path: file}).String()
	}
	u := wire.Update{URL: at, Version: o.Version, Now: wire.Bool(o.Now)}
	if u.Check() != nil {
		return nil
	}
	return &u
}

// isElsewhere tells the URL of another server from a file of this one.
func isElsewhere(bundle string) bool { return strings.HasPrefix(bundle, "https://") }

// offers gives those for boards of a kind, as they stood within rereadInterval.
func (r *Rollouts) offers(ctx context.Context, kind string) ([]offerState, error) {
	all, err := r.read(ctx)
	var some []offerState
	for _, o := range all {
		if o.Board == kind {
			some = append(some, o)
		}
	}
	return some, err
}

// read gives what is known, and reads it again if that is old. One call at a time reads, the others wait
// for what it reads.
func (r *Rollouts) read(ctx context.Context) ([]offerState, error) {
	select {
	case r.reads <- struct{}{}:
		defer func() { <-r.reads }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := r.config.Now()
	was := r.known.Load()
	if was != nil && now.Sub(was.at).Abs() < rereadInterval {
		return was.offers, nil
	}
	all, err := r.config.Store.Offers(ctx)
	if err != nil {
		return nil, err
	}
	is := &knownOffers{at: now}
	for _, o := range all {
		state := offerState{Offer: o}
		if state.counts, err = r.config.Store.OfferCounts(ctx, o.ID); err != nil {
			return nil, err
		}
		state.missing = r.lookAt(o)
		is.offers = append(is.offers, state)
	}
	slices.SortStableFunc(is.offers, func(a, b offerState) int { return cmp.Compare(b.Index, a.Index) })
	r.known.Store(is)
	return is.offers, nil
}

// lookAt says why a bundle cannot be served here, and logs it once.
func (r *Rollouts) lookAt(o store.Offer) (missing string) {
	if isElsewhere(o.Bundle) || !o.Enabled {
		return ""
	}
	if b, err := r.open(o); err != nil {
		missing = err.Error()
	} else {
		_ = b.Body.Close() // it was read only
	}
	if missing != "" && missing != r.missing[o.ID] {
		r.config.Log.Error("update: this server cannot serve a bundle and does not offer it", "offer", o.ID,
			"version", o.Version, "error", missing)
	}
	r.missing[o.ID] = missing
	return missing
}

// errOther is of a file that was replaced.
var errOther = errors.New("the bundle is of another version, board or build than the offer")

func (r *Rollouts) open(o store.Offer) (*Bundle, error) {
	b, err := r.config.Open(o.Bundle)
	if err != nil {
		return nil, err
	}
	if b.Update != updateOf(o) {
		_ = b.Body.Close() // it was read only
		return nil, errOther
	}
	return b, nil
}
