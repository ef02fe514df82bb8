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
	g.noteClock()
	err := g.endExpired(ctx)
	if err == nil {
		err = g.endRevoked(ctx)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		_ = g.storeFault("end what is over", err)
	}
	g.quiet.flush(g.config.Now())
}

// endExpired ends the streams whose source is silent for longer than its lease. A silence that may be
// ours counts from its end: the store was away, the clock was set, or we have just begun.
func (g *Gateway) endExpired(ctx context.Context) error {
	now := g.config.Now()
	rows, err := g.config.Store.EndExpired(ctx, g.undisturbed(), leaseRanOut, now)
	ended := make([]ending, 0, len(rows))
	for _, row := range rows {
		g.config.Log.Info("gateway: the lease ran out", "utilization_id", row.Source.String(), "stream", row.ID)
		ended = append(ended, ending{row, leaseRanOut})
	}
	g.closeAll(ctx, ended)
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
	dead := map[string]bool{}
	var ended []ending
	for _, row := range rows {
		because := g.whyOver(ctx, row, byID, disabled, dead)
		if because != "" && g.noteEnd(ctx, row, because) {
			ended = append(ended, ending{row, because})
		}
	}
	g.closeAll(ctx, ended)
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

// whyOver says why a stream is over; "": it is not. dead has the servers that were looked at.
func (g *Gateway) whyOver(ctx context.Context, row store.Stream, customers map[int64]store.Customer,
	disabled map[wire.ID]bool, dead map[string]bool,
) string {
	now := g.config.Now()
	customer, known := customers[row.Customer]
	if !known {
		return "its API key was removed"
	}
	if why := checkCustomer(customer, now); why != nil {
		return why.Reason
	}
	isDead, looked := dead[row.Server]
	if !looked {
		_, err := g.config.Servers.ByName(ctx, row.Server)
		isDead = g.isDead(err)
		dead[row.Server] = isDead
	}
	switch {
	case disabled[row.Source]:
		return "its source is disabled"
	case isDead:
		return serverDied
	case !hasPlace(row) && now.Sub(row.Since) > beginLimit && g.undisturbed() > beginLimit:
		return neverBegan
	}
	return ""
}

// heartbeatLimit is longer than heartbeats may be missing (docs/video-server.md: 10 s), and so how long
// after the store was away nobody is dead for want of them.
const heartbeatLimit = 15 * time.Second

// isDead says whether an error of Servers means that the streams of a server are over.
func (g *Gateway) isDead(err error) bool {
	return errors.Is(err, stream.ErrUnreachable) && g.outage.since(g.config.Uptime()) >= heartbeatLimit
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
	if g.isDead(err) {
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
	if !g.noteEnd(ctx, row, because) {
		return false
	}
	g.closeAll(ctx, []ending{{row, because}})
	return true
}

// noteEnd has the store note that a stream is over; false: it is already, or that could not be noted.
func (g *Gateway) noteEnd(ctx context.Context, row store.Stream, because string) bool {
	err := g.config.Store.EndStream(ctx, row.ID, because, g.config.Now())
	if err != nil {
		if !errors.Is(err, store.ErrUnknown) {
			g.noteFault("gateway: end a stream", err)
		}
		return false
	}
	g.noteEvent("gateway: ended", row.Asker, row.Source, "stream", row.ID, "because", because)
	return true
}

// addEvent notes what an operator may want to know later. A stream does not depend on it.
func (g *Gateway) addEvent(ctx context.Context, e store.Event) {
	e.At = g.config.Now()
	if err := g.config.Store.AddEvent(ctx, e); err != nil {
		g.noteFault("gateway: events", err)
	}
}
