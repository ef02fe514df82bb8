// What camserver has beside the server of a desk: forwarding, updates for boards, the API, metrics.

package main

import (
	"context"
	"net/http"
	"time"

	"github.com/krazycam/krazycam/farend/api"
	"github.com/krazycam/krazycam/farend/forward"
	"github.com/krazycam/krazycam/farend/forward/whip"
	"github.com/krazycam/krazycam/farend/history"
	"github.com/krazycam/krazycam/farend/metrics"
	"github.com/krazycam/krazycam/farend/server"
	"github.com/krazycam/krazycam/farend/stream"
)

// makeParts makes them for a server whose database and receiver are open.
func makeParts(s *server.Server) (server.Parts, error) {
	c := s.Config()
	forwarder, err := forward.New(forward.Config{
		Rules: c.Forward.Rules, Name: s.Name(), WHIP: whip.Publish, Log: c.Log, Now: time.Now,
		KeyFrame: func(id string) { _ = s.Receiver().RequestKeyFrame(id) }, // a stream that is over needs none
	})
	if err != nil {
		return server.Parts{}, usageError{err}
	}
	updates := newRollouts(s.Store(), c.Settings, c.Log)
	counts := metrics.New(metricsOf(s, forwarder))
	past := history.New(s.Receiver())
	return server.Parts{
		Sinks: func(g stream.Grant, n server.Names) []stream.Sink {
			return forwarder.Sinks(g, n.Customer, n.Source)
		},
		Offer:    updates.Offer,
		Gateway:  func(gateway http.Handler) http.Handler { return updates.Handler(counts.Gateway(gateway)) },
		Operator: operatorOf(s, forwarder, counts, past),
		Duties:   []func(context.Context){past.Run},
		Close: func(ctx context.Context) {
			if err := forwarder.Close(ctx); err != nil {
				c.Log.Warn("forwarding: not all ended in order", "error", err)
			}
		},
	}, nil
}

// operatorOf answers people, their programs and their monitoring.
func operatorOf(s *server.Server, f *forward.Forwarder, counts *metrics.Metrics, past *history.History) http.Handler {
	c := s.Config()
	tokens := api.NewTokens(s.Store(), s.Asker(), time.Now)
	config := api.Config{
		Store: s.Store(), Live: s.Receiver(), History: past, Authenticate: tokens.Authenticate, Servers: s.Cluster(),
		Forwardings: f.States, Observe: counts.APIRequest, Server: s.Name(), Log: c.Log,
	}
	if library := s.Recordings(); library != nil { // a nil pointer in an interface is not nil
		config.Recordings = library
	}
	mux := http.NewServeMux()
	mux.Handle(api.Prefix+"/", api.New(config))
	mux.Handle("/metrics", counts.Handler())
	mux.Handle("/healthz", api.Healthz())
	mux.Handle("/readyz", api.Readyz(c.Log, time.Now, api.Check{Name: "database", Find: s.Store().Ping},
		api.Check{Name: "receiver", Find: func(context.Context) error { return s.Receiver().Ready() }},
		api.DiskCheck(c.State.Folder)))
	return mux
}

// aliveKeep is how old a heartbeat may be for a server to be shown.
const aliveKeep = time.Hour

func metricsOf(s *server.Server, f *forward.Forwarder) metrics.Config {
	c := s.Config()
	folders := map[string]string{"state": c.State.Folder}
	if path := c.RecordFolder(); path != "" {
		folders["recordings"] = path
	}
	_, capacity := s.Receiver().Load()
	return metrics.Config{
		Version: c.Version, Live: s.Receiver(), Capacity: capacity, Folders: folders, Log: c.Log,
		Totals: func() metrics.Totals {
			t := s.Receiver().Totals()
			return metrics.Totals{Streams: t.Streams, Unasked: t.Unasked, Malformed: t.Malformed,
				KernelDrops: t.KernelDrops}
		},
		Servers: func(ctx context.Context) (all []metrics.Server, err error) {
			list, err := s.Store().Servers(ctx, time.Now().Add(-aliveKeep))
			for _, one := range list {
				all = append(all, metrics.Server{Name: one.Name, Streams: one.Streams, Capacity: one.Capacity,
					SeenAt: one.SeenAt})
			}
			return all, err
		},
		Failures: s.Store().Failures,
		Forwardings: func() map[[2]string]int {
			n := map[[2]string]int{}
			for _, one := range f.States() {
				n[[2]string{one.Kind, one.State}]++
			}
			return n
		},
	}
}
