// The end of streams, whoever brings it about: Run is the one goroutine of a gateway.

package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// Why streams end.
const (
	serverDied   = "server died"
	serverForgot = "its video server was started again"
	leaseRanOut  = "its source went away: the lease ran out"
	neverBegan   = "its gateway ended while it began"
)

const (
	tickInterval = time.Second
	tickTimeout  = 30 * time.Second
)

// Run ends the streams that are over, about once a second, until ctx ends: those whose source went away,
// whose key or source may do nothing any more, and whose video server is gone.
func (g *Gateway) Run(ctx context.Context) {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			g.tick(ctx)
		}
	}
}

func (g *Gateway) tick(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tickTimeout)
	defer cancel()
	err := g.endExpired(ctx)
	if err == nil {
		err = g.endRevoked(ctx)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		_ = g.storeFault("end what is over", err)
	}
	g.quiet.flush(g.config.Now())
}

// endExpired ends the streams whose source is silent, unless the store was away meanwhile: then the
// silence may be ours.
func (g *Gateway) endExpired(ctx context.Context) error {
	now, lease := g.config.Now(), leasePeriods*g.period()
	if g.outage.isWithin(lease, now) {
		return nil
	}
	ended, err := g.config.Store.EndExpired(ctx, now.Add(-lease), leaseRanOut, now)
	for _, row := range ended {
		g.config.Log.Info("gateway: the lease ran out", "utilization_id", row.Source.String(), "stream", row.ID)
		g.close(ctx, row, leaseRanOut)
	}
	return err
}

// endRevoked ends the streams that may not go on, or cannot.
func (g *Gateway) endRevoked(ctx context.Context) error {
	rows, err := g.config.Store.ActiveStreams(ctx, store.StreamFilter{})
	if err != nil || len(rows) == 0 {
		return err
	}
	customers, err := g.config.Store.Customers(ctx)
	if err != nil {
		return err
	}
	byID := make(map[int64]store.Customer, len(customers))
	for _, one := range customers {
		byID[one.ID] = one
	}
	disabled, err := g.disabledSources(ctx)
	if err != nil {
		return err
	}
	alive := map[string]bool{}
	for _, row := range rows {
		if because := g.whyOver(ctx, row, byID, disabled, alive); because != "" {
			g.endStream(ctx, row, because)
		}
	}
	return nil
}

func (g *Gateway) disabledSources(ctx context.Context) (map[wire.ID]bool, error) {
	list, err := g.config.Store.Sources(ctx, store.SourceFilter{Disabled: true})
	disabled := make(map[wire.ID]bool, len(list))
	for _, one := range list {
		disabled[one.ID] = true
	}
	return disabled, err
}

// whyOver says why a stream is over; "": it is not. alive has the servers that were looked at.
func (g *Gateway) whyOver(ctx context.Context, row store.Stream, customers map[int64]store.Customer,
	disabled map[wire.ID]bool, alive map[string]bool,
) string {
	now := g.config.Now()
	customer, known := customers[row.Customer]
	if !known {
		return "its API key was removed"
	}
	if why := checkCustomer(customer, now); why != nil {
		return why.Reason
	}
	isAlive, looked := alive[row.Server]
	if !looked {
		_, err := g.config.Servers.ByName(ctx, row.Server)
		isAlive = !errors.Is(err, stream.ErrUnreachable)
		alive[row.Server] = isAlive
	}
	switch {
	case disabled[row.Source]:
		return "its source is disabled"
	case !isAlive:
		return serverDied
	case row.Server == g.config.OwnServer && row.Since.Before(g.began):
		return serverForgot
	case !hasPlace(row) && now.Sub(row.Since) > beginLimit:
		return neverBegan
	}
	return ""
}

func hasPlace(row store.Stream) bool { return row.Place.RTPPort != 0 }

// endLost ends a source's stream if its video server does not have it any more, so that the source is
// granted a new one.
func (g *Gateway) endLost(ctx context.Context, source wire.ID) bool {
	row, why := g.runningStream(ctx, source)
	if why != nil {
		return why.Code == wire.CodeNotRunning // over by now
	}
	server, err := g.config.Servers.ByName(ctx, row.Server)
	if errors.Is(err, stream.ErrUnreachable) {
		return g.endStream(ctx, row, serverDied)
	}
	if err != nil || !hasPlace(row) { // another request may be about to begin it
		return false
	}
	if _, err = server.Captured(ctx, row.ID, row.Asker); errors.Is(err, stream.ErrUnknown) {
		return g.endStream(ctx, row, serverForgot)
	}
	return false
}

// endStream ends a stream that runs; false: it is over already, or that could not be noted.
func (g *Gateway) endStream(ctx context.Context, row store.Stream, because string) bool {
	err := g.config.Store.EndStream(ctx, row.ID, because, g.config.Now())
	if err != nil {
		if !errors.Is(err, store.ErrUnknown) {
			g.noteFault("gateway: end a stream", err)
		}
		return false
	}
	g.noteEvent("gateway: ended", row.Asker, row.Source, "stream", row.ID, "because", because)
	g.close(ctx, row, because)
	return true
}

// close closes the place of a stream that the store has as ended. Only whoever ended it there comes here.
// What cannot be reached ends it by its lease.
func (g *Gateway) close(ctx context.Context, row store.Stream, because string) {
	g.addEvent(ctx, store.Event{Customer: row.Customer, Source: row.Source, Stream: row.ID, Kind: "ended",
		Words: because})
	server, err := g.config.Servers.ByName(ctx, row.Server)
	if err == nil {
		err = server.End(ctx, row.ID, because)
	}
	if err != nil && !errors.Is(err, stream.ErrUnknown) && because != serverDied {
		g.noteFault("gateway: close a stream's place", err)
	}
}

// addEvent notes what an operator may want to know later. A stream does not depend on it.
func (g *Gateway) addEvent(ctx context.Context, e store.Event) {
	e.At = g.config.Now()
	if err := g.config.Store.AddEvent(ctx, e); err != nil {
		g.noteFault("gateway: events", err)
	}
}
