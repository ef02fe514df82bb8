// The choice of a video server. Locks: refreshing before mu. The store is called under refreshing, so
// that one caller asks it and the others wait for the answer; it calls nobody back.

package videoserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
)

const (
	// HeartbeatInterval is how often a video server says that it lives.
	HeartbeatInterval = 3 * time.Second
	// deadAfter is three heartbeats that did not come, and a second for one on its way.
	deadAfter = 3*HeartbeatInterval + time.Second
	// seenAtMost bounds by how much the clocks of two servers may differ: what is older is long dead.
	seenAtMost = time.Minute

	refreshInterval = time.Second
	// avoidFor is how long a server that did not answer a call is left alone.
	avoidFor = 10 * time.Second
)

// A Lister has the heartbeats; *store.Store is one.
type Lister interface {
	Servers(ctx context.Context, aliveSince time.Time) ([]store.Server, error)
}

// ClusterConfig is what a Cluster knows. Store is required.
type ClusterConfig struct {
	Store Lister

	// Local is the video server of this process, called Name in the store; nil: it has none. Load says
	// how many streams it has, and how many it takes.
	Local stream.VideoServer
	Name  string
	Load  func() (streams, capacity int)

	TLS *tls.Config // for https to the others; nil: the system's authorities
	Now func() time.Time
	Log *slog.Logger
}

// A Cluster is the video servers that live. It is safe for use by several goroutines.
type Cluster struct {
	config ClusterConfig
	http   *http.Client

	refreshing chan struct{} // a lock that a context ends the wait for
	mu         sync.Mutex
	members    map[string]*member
	refreshed  time.Time
	isCut      bool // the store did not answer the last time
}

// A member is what is known of another process's server. Its fields are guarded by Cluster.mu.
type member struct {
	store.Server
	client  *Client   // nil: it cannot be called
	changed time.Time // when this process last saw a new heartbeat, by its own clock
	avoid   time.Time // until then it is left alone
	begun   int       // streams since the store was asked, by us
	isFull  bool      // it refused a stream since its last heartbeat
}

// NewCluster makes one; nothing is asked yet.
func NewCluster(c ClusterConfig) *Cluster {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Cluster{
		config: c, http: NewHTTPClient(c.TLS), refreshing: make(chan struct{}, 1), members: map[string]*member{},
	}
}

// Close gives the connections back.
func (c *Cluster) Close() { c.http.CloseIdleConnections() }

// Choose gives the live server with the smallest share of its places taken; of equals one at random.
// stream.ErrFull: none has a place; stream.ErrUnreachable: none lives. After Begin has failed at one for
// such a reason, the next call gives another.
func (c *Cluster) Choose(ctx context.Context, _ stream.Grant) (string, stream.VideoServer, error) {
	if err := c.refresh(ctx); err != nil {
		return "", nil, fmt.Errorf("video servers: %w", err)
	}
	now := c.config.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	best := choice{}
	if c.config.Local != nil {
		streams, capacity := c.config.Load()
		best.consider(candidate{c.config.Name, c.config.Local, streams, capacity})
	}
	for name, m := range c.members {
		if m.isAlive(now) && m.client != nil {
			best.consider(candidate{name, &remote{c, m.Server, m.client}, m.load(), m.Capacity})
		}
	}
	switch {
	case best.found > 0:
		return best.name, best.server, nil
	case best.alive > 0:
		return "", nil, fmt.Errorf("video servers: %w", stream.ErrFull)
	}
	return "", nil, fmt.Errorf("video servers: none lives: %w", stream.ErrUnreachable)
}

// ByName gives a server. stream.ErrUnreachable: it is dead, and with it all its streams. Any other error
// says nothing about them.
func (c *Cluster) ByName(ctx context.Context, name string) (stream.VideoServer, error) {
	if c.config.Local != nil && name == c.config.Name {
		return c.config.Local, nil
	}
	if err := c.refresh(ctx); err != nil {
		return nil, fmt.Errorf("video server %s: %w", name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.members[name]
	switch {
	case m == nil || !m.isAlive(c.config.Now()):
		return nil, fmt.Errorf("video server %s: no heartbeat: %w", name, stream.ErrUnreachable)
	case m.client == nil:
		return nil, fmt.Errorf("video server %s: it has no URL for calls: only its own process reaches it", name)
	}
	return &remote{c, m.Server, m.client}, nil
}

func (m *member) isAlive(now time.Time) bool {
	return now.Sub(m.changed) < deadAfter && !now.Before(m.avoid)
}

// load is the streams that a server has, by what it says and by what all gateways noted; one that refused
// is full whatever it says.
func (m *member) load() int {
	if m.isFull {
		return m.Capacity
	}
	return max(m.Streams, m.Granted) + m.begun
}

// A candidate is a live server.
type candidate struct {
	name              string
	server            stream.VideoServer
	streams, capacity int
}

// A choice is the best of the candidates so far, and how many are as good.
type choice struct {
	candidate
	alive, found int
}

func (b *choice) consider(c candidate) {
	b.alive++
	if c.streams >= c.capacity {
		return
	}
	// a/b < c/d, without fractions.
	mine, best := c.streams*b.capacity, b.streams*c.capacity
	switch {
	case b.found == 0 || mine < best:
		b.candidate, b.found = c, 1
	case mine == best:
		if b.found++; rand.IntN(b.found) == 0 {
			b.candidate = c
		}
	}
}

// refresh asks the store who lives, once a second at most.
func (c *Cluster) refresh(ctx context.Context) error {
	select {
	case c.refreshing <- struct{}{}:
		defer func() { <-c.refreshing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	now := c.config.Now()
	if !c.refreshed.IsZero() && now.Sub(c.refreshed).Abs() < refreshInterval {
		return nil
	}
	list, err := c.config.Store.Servers(ctx, now.Add(-seenAtMost))
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.isCut, c.refreshed = true, time.Time{}
		return err
	}
	c.refreshed = now
	c.take(list, now)
	c.isCut = false
	return nil
}

// take notes the heartbeats. Whether one is new is seen by its change, since its time is by another's
// clock; and one that could not be written while the store was away says nothing about its server.
func (c *Cluster) take(list []store.Server, now time.Time) {
	before := c.members
	c.members = make(map[string]*member, len(list))
	for _, s := range list {
		if s.Name == c.config.Name && c.config.Local != nil {
			continue
		}
		m := before[s.Name]
		if m == nil || m.Control != s.Control || m.Secret != s.Secret {
			m = &member{client: c.clientOf(s)}
		}
		if !m.SeenAt.Equal(s.SeenAt) {
			m.changed, m.isFull = now, false
		}
		if c.isCut {
			m.changed = now
		}
		m.Server, m.begun = s, 0
		c.members[s.Name] = m
	}
	if !c.isCut {
		return
	}
	for name, m := range before { // older than seenAtMost by now, through no fault of its own
		if c.members[name] == nil && m.isAlive(m.changed) {
			m.changed = now
			c.members[name] = m
		}
	}
}

func (c *Cluster) clientOf(s store.Server) *Client {
	if s.Control == "" {
		return nil
	}
	client, err := NewClient(s.Control, s.Secret, c.http)
	if err != nil { // its own words for it, or those of a newer version
		c.config.Log.Warn("video servers: cannot call one", "server", s.Name, "error", err)
		return nil
	}
	return client
}

// A remote is a server of the cluster, which notes how it fares.
type remote struct {
	cluster *Cluster
	is      store.Server
	*Client
}

// Begin implements stream.VideoServer.
func (r *remote) Begin(ctx context.Context, g stream.Grant) (stream.Place, error) {
	place, err := r.Client.Begin(ctx, g)
	if place.Host == "" {
		place.Host = r.is.Host
	}
	r.cluster.note(r.is.Name, func(m *member, now time.Time) {
		switch {
		case err == nil:
			m.begun++
		case errors.Is(err, stream.ErrFull):
			m.isFull = true
		case errors.Is(err, stream.ErrUnreachable):
			m.avoid = now.Add(avoidFor)
		}
	})
	return place, err
}

// Captured implements stream.VideoServer. A server whose process is gone is dead at once.
func (r *remote) Captured(ctx context.Context, id string, asker netip.Addr) (stream.Verdict, error) {
	v, err := r.Client.Captured(ctx, id, asker)
	if errors.Is(err, errClosedDoor) {
		r.cluster.note(r.is.Name, func(m *member, now time.Time) { m.avoid = now.Add(avoidFor) })
	}
	return v, err
}

func (c *Cluster) note(name string, what func(m *member, now time.Time)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.members[name]; m != nil {
		what(m, c.config.Now())
	}
}
