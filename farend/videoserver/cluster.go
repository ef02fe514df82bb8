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
	// seenAtMost bounds by how much the clocks of two servers may differ: a server that is new here and was
	// last seen before that is probably long dead. Nothing streams there if there is another.
	seenAtMost = time.Minute
	// listedAtMost keeps the names of servers that will never come back out of the list.
	listedAtMost = 24 * time.Hour

	refreshInterval = time.Second
	// cutAfter without an answer of the store, heartbeats may be missing because nobody could write them.
	cutAfter = HeartbeatInterval + time.Second
	// avoidFor is how long a server that failed to begin a stream gets no other, if there is another server.
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
	refreshed  time.Time // zero: the store is to be asked at once
	answered   time.Time // when the store last answered
	isCut      bool      // it did not since
	avoidLocal time.Time
}

// A member is what is known of another process's server. Its fields are guarded by Cluster.mu.
type member struct {
	store.Server
	client  *Client   // nil: it cannot be called
	changed time.Time // when this process last saw a new heartbeat, by its own clock
	isGone  bool      // nothing listened there since its last heartbeat
	avoid   time.Time // until then others are chosen, if there are some
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
// stream.ErrFull: none has a place; stream.ErrUnreachable: none lives. A server where Begin has failed
// is given again soon only if there is no other.
func (c *Cluster) Choose(ctx context.Context, g stream.Grant) (string, stream.VideoServer, error) {
	if err := c.refresh(ctx); err != nil {
		return "", nil, fmt.Errorf("video servers: %w", err)
	}
	now := c.config.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	best, noKeys := choice{}, false
	if c.config.Local != nil {
		streams, capacity := c.config.Load()
		best.consider(candidate{c.config.Name, &own{c.config.Local, c}, streams, capacity, now.Before(c.avoidLocal)})
	}
	for name, m := range c.members {
		switch {
		case m.client == nil || !m.isAlive(now):
		case g.SRTP != nil && !m.client.mayCarryKeys():
			noKeys = true
		default:
			best.consider(candidate{name, &remote{c, m.Server, m.client}, m.load(), m.Capacity, now.Before(m.avoid)})
		}
	}
	switch {
	case best.found > 0:
		return best.name, best.server, nil
	case best.alive > 0:
		return "", nil, fmt.Errorf("video servers: %w", stream.ErrFull)
	case noKeys:
		return "", nil, fmt.Errorf("video servers: none that lives has an https URL: %w", errKeys)
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
	return now.Sub(m.changed) < deadAfter && !m.isGone
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
	isAvoided         bool // it failed a moment ago
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
	case b.found == 0 || b.isAvoided && !c.isAvoided:
		b.candidate, b.found = c, 1
	case c.isAvoided && !b.isAvoided:
	case mine < best:
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
	list, err := c.config.Store.Servers(ctx, now.Add(-listedAtMost))
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.isCut, c.refreshed = true, time.Time{}
		return err
	}
	c.take(list, now)
	c.refreshed, c.answered, c.isCut = now, now, false
	return nil
}

// take notes the heartbeats. Whether one is new is seen by its change, since its time is by another's
// clock; and one that could not be written while the store was away says nothing about its server.
func (c *Cluster) take(list []store.Server, now time.Time) {
	wasAway := c.isCut || now.Sub(c.answered) > cutAfter
	before := c.members
	c.members = make(map[string]*member, len(list))
	for _, s := range list {
		if s.Name == c.config.Name && c.config.Local != nil {
			continue
		}
		m := before[s.Name]
		switch {
		case m == nil || m.Control != s.Control || m.Secret != s.Secret:
			m = &member{client: c.clientOf(s), changed: now}
			if now.Sub(s.SeenAt) > seenAtMost {
				m.avoid = now.Add(deadAfter) // its next heartbeat, or none, says more
			}
		case !m.SeenAt.Equal(s.SeenAt):
			m.changed, m.isFull, m.isGone = now, false, false
		case wasAway && m.isAlive(c.answered):
			m.changed = now
		}
		m.Server, m.begun = s, 0
		c.members[s.Name] = m
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
		case errors.Is(err, errClosedDoor):
			m.isGone = true
		case isServersFault(ctx, err):
			m.avoid = now.Add(avoidFor)
		}
	})
	return place, err
}

// isServersFault says whether another stream may fail at the server, too.
func isServersFault(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && !errors.Is(err, stream.ErrAmbiguous) && !errors.Is(err, stream.ErrNeedsMux)
}

// Captured implements stream.VideoServer. A server whose process is gone is dead at once.
func (r *remote) Captured(ctx context.Context, id string, asker netip.Addr) (stream.Verdict, error) {
	v, err := r.Client.Captured(ctx, id, asker)
	if errors.Is(err, errClosedDoor) {
		r.cluster.note(r.is.Name, func(m *member, _ time.Time) { m.isGone = true })
	}
	return v, err
}

// An own server is this process's, as it is chosen: the cluster notes how it fares.
type own struct {
	stream.VideoServer
	cluster *Cluster
}

// Begin implements stream.VideoServer.
func (o *own) Begin(ctx context.Context, g stream.Grant) (stream.Place, error) {
	place, err := o.VideoServer.Begin(ctx, g)
	if isServersFault(ctx, err) {
		o.cluster.mu.Lock()
		defer o.cluster.mu.Unlock()
		o.cluster.avoidLocal = o.cluster.config.Now().Add(avoidFor)
	}
	return place, err
}

func (c *Cluster) note(name string, what func(m *member, now time.Time)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.members[name]; m != nil {
		what(m, c.config.Now())
	}
}
