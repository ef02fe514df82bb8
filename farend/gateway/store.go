// What a gateway needs of the store, and what it makes of the store's errors.

package gateway

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// Store is what a gateway needs of a *store.Store.
type Store interface {
	Customers(ctx context.Context) ([]store.Customer, error)
	CustomerByID(ctx context.Context, id int64) (store.Customer, error)
	CustomerByKey(ctx context.Context, hash string) (store.Customer, error)
	AddCustomer(ctx context.Context, c store.Customer) (int64, error)
	ChangeCustomer(ctx context.Context, id int64, change func(*store.Customer) error) (store.Customer, error)
	RemoveCustomer(ctx context.Context, id int64) error

	AddSource(ctx context.Context, customer int64, limits store.SourceLimits, now time.Time) (store.Source, error)
	SourceByID(ctx context.Context, id wire.ID) (store.Source, error)
	Sources(ctx context.Context, f store.SourceFilter) ([]store.Source, error)
	NoteUse(ctx context.Context, id wire.ID, now time.Time) error
	SetBoard(ctx context.Context, id wire.ID, b wire.Board, now time.Time) error

	BeginStream(ctx context.Context, c store.Stream, camerasMax int, now time.Time) error
	SetPlace(ctx context.Context, id string, p stream.Place) error
	TouchStream(ctx context.Context, id string, now time.Time) error
	EndStream(ctx context.Context, id, because string, now time.Time) error
	EndExpired(ctx context.Context, undisturbed time.Duration, because string, now time.Time) ([]store.Stream, error)
	ActiveStream(ctx context.Context, source wire.ID) (store.Stream, error)
	ActiveStreams(ctx context.Context, f store.StreamFilter) ([]store.Stream, error)

	AddEvent(ctx context.Context, e store.Event) error
	PutAnalysis(ctx context.Context, a store.Analysis) error
	Analysis(ctx context.Context, source wire.ID) (store.Analysis, error)
}

// sourceLimits bound what one API key has: a board keeps its id, so these are years of boards, or a source
// with a defect that asks for one after the other.
func sourceLimits() store.SourceLimits {
	return store.SourceLimits{Max: sourcesMax, UnusedKeep: time.Minute, UsedKeep: 24 * time.Hour}
}

const sourcesMax = 10_000

// An outage notes when something was wrong that makes sources and servers silent: no stream may be ended
// for a silence of which they know nothing. Times are Config.Uptime's.
type outage struct {
	mu  sync.Mutex
	was bool
	at  time.Duration // the last time
}

func (o *outage) note(uptime time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.was, o.at = true, uptime
}

// since is how long ago the last one was; for ever, if there was none.
func (o *outage) since(uptime time.Duration) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.was {
		return math.MaxInt64
	}
	return uptime - o.at
}

// isAway says that an error is the store's absence.
func isAway(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled)
}

// storeFault is the refusal for an error of the store.
func (g *Gateway) storeFault(what string, err error) *wire.Refusal {
	g.noteFault("gateway: "+what, err)
	if isAway(err) {
		g.outage.note(g.config.Uptime())
		return refuse(wire.CodeServerUnreachable, "the database cannot be reached")
	}
	return refuse(wire.CodeStatusFailed, "cannot update the stream status")
}
