package videoserver

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
)

var quiet = slog.New(slog.DiscardHandler)

const token = "0123456789abcdef"

// fakeServer is a stream.VideoServer that does as it is told.
type fakeServer struct {
	mu      sync.Mutex
	place   stream.Place
	verdict stream.Verdict
	err     error
	grant   stream.Grant // the last
	asker   netip.Addr
	because string
	open    map[string]bool
}

func newFakeServer() *fakeServer {
	return &fakeServer{place: stream.Place{RTPPort: 5004, RTCPPort: 5005}, open: map[string]bool{}}
}

func (s *fakeServer) Begin(_ context.Context, g stream.Grant) (stream.Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grant = g
	if s.err == nil {
		s.open[g.ID] = true
	}
	return s.place, s.err
}

func (s *fakeServer) Captured(_ context.Context, id string, asker netip.Addr) (stream.Verdict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asker = asker
	if !s.open[id] {
		return stream.Verdict{}, stream.ErrUnknown
	}
	return s.verdict, s.err
}

func (s *fakeServer) End(_ context.Context, id, because string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.because = because
	if !s.open[id] {
		return stream.ErrUnknown
	}
	delete(s.open, id)
	return s.err
}

func (s *fakeServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// fakeStore has heartbeats.
type fakeStore struct {
	mu      sync.Mutex
	servers map[string]store.Server
	err     error
}

func (f *fakeStore) Servers(_ context.Context, since time.Time) (list []store.Server, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		if !s.SeenAt.Before(since) {
			list = append(list, s)
		}
	}
	return list, f.err
}

func (f *fakeStore) Heartbeat(_ context.Context, s store.Server) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	if f.servers == nil {
		f.servers = map[string]store.Server{}
	}
	f.servers[s.Name] = s
	return nil
}

func (f *fakeStore) RemoveServer(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.servers, name)
	return f.err
}

func (f *fakeStore) setError(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeStore) list() []store.Server {
	list, _ := f.Servers(context.Background(), time.Time{})
	return list
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
