package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/settings"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/sqlite"
	"github.com/krazycam/krazycam/farend/stream"
)

// The receiver remembers fewer streams that are over than a server may have.
func TestEndKeepsTheFiguresOfAllStreams(t *testing.T) {
	const streams = 300
	c := Config{Settings: settings.Default(), Program: "test", Log: slog.New(slog.DiscardHandler)}
	c.Settings.Gateway = settings.Gateway{Listen: "127.0.0.1:0"}
	c.Settings.Receiver = settings.Receiver{Capacity: streams}
	c.State.Folder, c.Record.Folder = t.TempDir(), ""
	kept, err := sqlite.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	c.OpenStore = func(context.Context) (*store.Store, error) { return kept, nil }
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	owner := store.Customer{Name: "a", KeyHash: store.HashKey("k"), Enabled: true}
	customer, err := kept.AddCustomer(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	for n := range streams {
		source, err := kept.AddSource(t.Context(), customer, store.SourceLimits{Max: streams}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		g := stream.Grant{ID: fmt.Sprint("s", n), Customer: customer, Source: source.ID, SSRC: uint32(n + 1),
			Asker: netip.MustParseAddr("127.0.0.1")}
		err = kept.BeginStream(t.Context(), store.Stream{ID: g.ID, Source: g.Source, Customer: g.Customer, SSRC: g.SSRC,
			Server: s.Name(), Asker: g.Asker}, 0, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.streams.Begin(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	s.endStreams(func() {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.receiver.Run(ended); err != nil {
			t.Error(err)
		}
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.stats.Run(ended)
	s.noteEnd(t.Context())
	all, err := kept.EndedStreams(t.Context(), store.StreamFilter{})
	if err != nil || len(all) != streams {
		t.Fatalf("%d ended streams, %v, want %d", len(all), err, streams)
	}
	without := 0
	for _, one := range all {
		if one.StatsAt.IsZero() {
			without++
		}
	}
	if without > 0 {
		t.Errorf("%d of %d streams have no figures", without, streams)
	}
	s.ran = true
	s.Close()
}
