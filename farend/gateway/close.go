// The places of streams that are over, closed at their video servers.

package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
)

const (
	// closeLimit is for all places of a call: of a request's 8 s, some are left.
	closeLimit = 4 * time.Second
	// closesMax is how many video servers are called at a time.
	closesMax = 16
)

// An ending is a stream that the store has as over, and why.
type ending struct {
	row     store.Stream
	because string
}

// closeAll closes the places of streams that the store has as over; only whoever ended them there comes
// here. A server that does not answer holds up no other: what cannot be reached ends them by their lease.
func (g *Gateway) closeAll(ctx context.Context, ended []ending) {
	byServer := map[string][]ending{}
	for _, one := range ended {
		g.addEvent(ctx, store.Event{Customer: one.row.Customer, Source: one.row.Source, Stream: one.row.ID,
			Kind: "ended", Words: one.because})
		byServer[one.row.Server] = append(byServer[one.row.Server], one)
	}
	ctx, cancel := context.WithTimeout(ctx, closeLimit)
	defer cancel()
	places := make(chan struct{}, closesMax)
	var closing sync.WaitGroup
	for name, list := range byServer {
		places <- struct{}{}
		closing.Go(func() {
			defer func() { <-places }()
			g.closeAt(ctx, name, list)
		})
	}
	closing.Wait()
}

// closeAt closes places of one server, until it does not answer.
func (g *Gateway) closeAt(ctx context.Context, name string, list []ending) {
	server, err := g.config.Servers.ByName(ctx, name)
	for _, one := range list {
		if err == nil {
			err = server.End(ctx, one.row.ID, one.because)
		}
		switch {
		case err == nil:
		case errors.Is(err, stream.ErrUnreachable) || ctx.Err() != nil || server == nil:
			if one.because != serverDied {
				g.noteFault("gateway: close a stream's place", err)
			}
			return
		case !errors.Is(err, stream.ErrUnknown):
			g.noteFault("gateway: close a stream's place", err)
		}
		err = nil
	}
}
