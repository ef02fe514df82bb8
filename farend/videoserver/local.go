// The end of streams that no gateway asks for any more. Pure but for Run: time is passed in.

package videoserver

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
)

// Local is the video server of this process, whose streams end when their lease runs out: a gateway that
// fell over, or was cut off, leaves nothing open. Gateways end them earlier as a rule.
type Local struct {
	server stream.VideoServer
	now    func() time.Time
	log    *slog.Logger

	mu     sync.Mutex
	leases map[string]*lease // by the stream's id
}

type lease struct {
	length   time.Duration
	askedFor time.Time
}

// NewLocal leases out what server takes.
func NewLocal(server stream.VideoServer, now func() time.Time, log *slog.Logger) *Local {
	return &Local{server: server, now: now, log: log, leases: map[string]*lease{}}
}

// Begin implements stream.VideoServer.
func (l *Local) Begin(ctx context.Context, g stream.Grant) (stream.Place, error) {
	place, err := l.server.Begin(ctx, g)
	if err == nil && g.Lease > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.leases[g.ID] = &lease{g.Lease, l.now()}
	}
	return place, err
}

// Captured implements stream.VideoServer.
func (l *Local) Captured(ctx context.Context, id string, asker netip.Addr) (stream.Verdict, error) {
	l.mu.Lock()
	if one := l.leases[id]; one != nil {
		one.askedFor = l.now()
	}
	l.mu.Unlock()
	return l.server.Captured(ctx, id, asker)
}

// End implements stream.VideoServer.
func (l *Local) End(ctx context.Context, id, because string) error {
	l.mu.Lock()
	delete(l.leases, id)
	l.mu.Unlock()
	return l.server.End(ctx, id, because)
}

// Run ends what is over, once a second, until ctx ends.
func (l *Local) Run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.endExpired(ctx)
		}
	}
}

func (l *Local) endExpired(ctx context.Context) {
	for _, id := range l.expired() {
		err := l.End(ctx, id, "no gateway asked for it")
		if errors.Is(err, stream.ErrUnknown) {
			continue
		}
		l.log.Warn("video server: ended a stream that no gateway asked for", "stream", id, "error", err)
	}
}

func (l *Local) expired() (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, one := range l.leases {
		if l.now().Sub(one.askedFor) > one.length {
			ids = append(ids, id)
		}
	}
	return ids
}
