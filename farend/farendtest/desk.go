// Package farendtest is a far end for tests of sources: a real gateway and a real receiver on a database
// in memory, which grant to one API key. It is in no program (imports_test.go).
package farendtest

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/gateway"
	"github.com/krazycam/krazycam/farend/receiver"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/sqlite"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/farend/videoserver"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// Config is what a test wants of its Desk. Key is required.
type Config struct {
	Key       string
	RTP, RTCP net.PacketConn // nil: on 127.0.0.1, any port
	KeepAlive time.Duration
	Offer     func(ctx context.Context, keyHash string, b wire.Board, host string) *wire.Update

	// Server takes the streams; nil: a receiver.
	Server stream.VideoServer

	// Before is called before the first stream begins.
	Before func()
}

// A Desk is the far end of one test. Gateway is an http.Handler.
type Desk struct {
	*gateway.Gateway
	Receiver *receiver.Server // nil if the test has a server of its own

	store  *store.Store
	before func()
	inner  stream.VideoServer

	mu   sync.Mutex
	last string // id of the stream that began last
}

// New makes one that runs until the test ends.
func New(t testing.TB, c Config) *Desk {
	t.Helper()
	d := &Desk{before: c.Before, inner: c.Server}
	if d.before == nil {
		d.before = func() {}
	}
	d.before = sync.OnceFunc(d.before)
	d.openStore(t, c.Key)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if c.Server == nil {
		d.listen(t, c)
		running.Go(func() {
			if err := d.Receiver.Run(ctx); err != nil {
				t.Errorf("receiver: %v", err)
			}
		})
	}
	cluster := videoserver.NewCluster(videoserver.ClusterConfig{
		Store: d.store, Name: "desk", Local: d, Load: func() (int, int) { return 0, 1 },
	})
	d.Gateway = gateway.New(gateway.Config{
		Store: d.store, Servers: cluster, KeepAlive: c.KeepAlive, Offer: c.Offer,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	running.Go(func() { d.Gateway.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		cluster.Close()
		if err := d.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *Desk) openStore(t testing.TB, key string) {
	t.Helper()
	var err error
	if d.store, err = sqlite.Open(context.Background(), ""); err != nil {
		t.Fatal(err)
	}
	customer := store.Customer{Name: "test", KeyHash: store.HashKey(key), Enabled: true, Made: time.Now()}
	if _, err := d.store.AddCustomer(context.Background(), customer); err != nil {
		t.Fatal(err)
	}
}

func (d *Desk) listen(t testing.TB, c Config) {
	t.Helper()
	for _, to := range []*net.PacketConn{&c.RTP, &c.RTCP} {
		if *to != nil {
			continue
		}
		var err error
		if *to, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if d.Receiver, err = receiver.Listen(receiver.Config{RTP: c.RTP, RTCP: c.RTCP}); err != nil {
		t.Fatal(err)
	}
	d.inner = d.Receiver
}

// Begin implements stream.VideoServer, for the gateway.
func (d *Desk) Begin(ctx context.Context, g stream.Grant) (stream.Place, error) {
	d.before()
	place, err := d.inner.Begin(ctx, g)
	if err == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.last = g.ID
	}
	return place, err
}

// Captured implements stream.VideoServer.
func (d *Desk) Captured(ctx context.Context, id string, asker netip.Addr) (stream.Verdict, error) {
	return d.inner.Captured(ctx, id, asker)
}

// End implements stream.VideoServer.
func (d *Desk) End(ctx context.Context, id, because string) error {
	return d.inner.End(ctx, id, because)
}

// Stats are the receiver's of the stream that began last, also when it is over.
func (d *Desk) Stats() stream.Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, _ := d.Receiver.Stats(d.last)
	return s
}

// IsActive says whether a stream is granted.
func (d *Desk) IsActive(t testing.TB) bool {
	t.Helper()
	rows, err := d.store.ActiveStreams(context.Background(), store.StreamFilter{})
	if err != nil {
		t.Fatal(err)
	}
	return len(rows) > 0
}
