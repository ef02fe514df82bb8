// The streams of this process, with what is known of each beside its packets.

package server

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/receiver"
	"github.com/krazycam/krazycam/farend/stream"
)

// A Running is a stream of this process.
type Running struct {
	Grant stream.Grant // without keys
	Names Names
	Stats stream.Stats
}

// streams is the video server of this process: the receiver, and the names that people gave.
type streams struct {
	receiver *receiver.Server
	lookUp   func(ctx context.Context, g stream.Grant) Names
	ended    func(id string, last stream.Stats)

	mu sync.Mutex // nothing is called under it
	of map[string]named
}

// named is a stream with its names, before the receiver knows it and until its end.
type named struct {
	grant stream.Grant
	names Names
	at    time.Time
}

// Begin implements stream.VideoServer.
func (s *streams) Begin(ctx context.Context, g stream.Grant) (stream.Place, error) {
	known := named{grant: g, names: s.lookUp(ctx, g), at: time.Now()}
	known.grant.SRTP = nil
	s.mu.Lock()
	s.of[g.ID] = known
	s.mu.Unlock()
	place, err := s.receiver.Begin(ctx, g)
	if err != nil {
		s.forget(g.ID)
	}
	return place, err
}

// Captured implements stream.VideoServer.
func (s *streams) Captured(ctx context.Context, id string, asker netip.Addr) (stream.Verdict, error) {
	return s.receiver.Captured(ctx, id, asker)
}

// End implements stream.VideoServer.
func (s *streams) End(ctx context.Context, id, because string) error {
	defer s.forget(id)
	err := s.receiver.End(ctx, id, because)
	if last, ok := s.receiver.Stats(id); ok && err == nil {
		s.ended(id, last)
	}
	return err
}

func (s *streams) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, id)
}

// namesOf is what a sink of a stream that begins is told.
func (s *streams) namesOf(id string) Names {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[id].names
}

// running appends all, in the order in which they began.
func (s *streams) running(to []Running) []Running {
	s.mu.Lock()
	known := make([]named, 0, len(s.of))
	for _, one := range s.of {
		known = append(known, one)
	}
	s.mu.Unlock()
	slices.SortFunc(known, func(a, b named) int { return a.at.Compare(b.at) })
	for _, one := range known {
		if stats, ok := s.receiver.Stats(one.grant.ID); ok {
			to = append(to, Running{one.grant, one.names, stats})
		}
	}
	return to
}
