// Mountpoints of Janus' streaming plugin: one goroutine for each Janus makes what streams want and
// destroys what they do not, what a crash of ours left included.

package forward

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/forward/janus"
)

const (
	// janusInterval is how often Janus is asked which mountpoints it has: it may have been started
	// again. Its session needs a request a minute.
	janusInterval = 5 * time.Second

	// janusLastPause is the longest between two tries to reach Janus.
	janusLastPause = 10 * time.Second

	// pokeInterval is how often packets that Janus did not take are a reason to ask at once.
	pokeInterval = time.Second

	// markPrefix begins the metadata of our mountpoints.
	markPrefix = "krazycam "
)

// A mounter looks after the mountpoints of one Janus. Its lock comes after the Forwarder's and is not
// held with a sink's.
type mounter struct {
	forwarder *Forwarder
	rule      *Rule  // the first for this Janus
	mark      string // metadata of the mountpoints that are this server's
	server    janus.Server
	wake      chan struct{} // has a place

	mu      sync.Mutex
	wanted  map[uint64]*sink
	pokedAt time.Time

	// The goroutine's own.
	handle *janus.Handle // nil: none
	made   map[uint64]*mounted
}

// A mounted is a mountpoint that was made.
type mounted struct {
	host   netip.Addr
	ports  janus.Ports
	sink   *sink // that sends to it; nil: none could yet
	errors uint64
}

func newMounter(f *Forwarder, r *Rule) *mounter {
	sum := sha256.Sum256([]byte(r.Janus))
	return &mounter{
		forwarder: f, rule: r, wake: make(chan struct{}, 1),
		mark:   fmt.Sprintf("%s%s %x", markPrefix, f.config.Name, sum[:4]),
		wanted: map[uint64]*sink{}, made: map[uint64]*mounted{},
		server: janus.Server{
			URL: r.Janus, APISecret: r.APISecret, AdminKey: r.AdminKey,
			Client: &http.Client{Transport: &http.Transport{}},
		},
	}
}

// fits says whether a further rule means the same Janus in the same way.
func (m *mounter) fits(r *Rule) error {
	a := m.rule
	if a.AdminKey != r.AdminKey || a.APISecret != r.APISecret || a.Secret != r.Secret || a.Host != r.Host ||
		a.Iface != r.Iface {
		return fmt.Errorf("rules with janus %s have different admin_key, api_secret, secret, host or iface", r.Janus)
	}
	return nil
}

// mount wants a mountpoint for a sink until ctx is over.
func (m *mounter) mount(ctx context.Context, s *sink) {
	id := MountpointID(s.grant.Source)
	s.mu.Lock()
	s.counts.Mountpoint = id
	s.mu.Unlock()
	m.mu.Lock()
	m.wanted[id] = s // a stream of the same source that is about to end gives way
	m.mu.Unlock()
	m.wakeUp()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.failed:
			m.poke()
		}
	}
	m.mu.Lock()
	if m.wanted[id] == s {
		delete(m.wanted, id)
	}
	m.mu.Unlock()
	m.wakeUp()
}

func (m *mounter) wakeUp() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// poke wakes the goroutine because packets were not taken: Janus may be gone.
func (m *mounter) poke() {
	m.mu.Lock()
	now := m.forwarder.config.Now()
	due := now.Sub(m.pokedAt) >= pokeInterval
	if due {
		m.pokedAt = now
	}
	m.mu.Unlock()
	if due {
		m.wakeUp()
	}
}

// run keeps mountpoints and streams the same until ctx is over, and destroys all of them then.
func (m *mounter) run(ctx context.Context) {
	pause := firstPause
	for out := false; ctx.Err() == nil; {
		err := m.reconcile(ctx)
		if out != (err != nil) && ctx.Err() == nil {
			out = !out
			m.logOutage(err)
		}
		if err != nil {
			m.spread(ctx, err)
			pause = min(sleep(ctx, pause), janusLastPause)
			continue
		}
		pause = firstPause
		t := time.NewTimer(janusInterval)
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-m.wake:
		}
		t.Stop()
	}
	m.finish(ctx)
}

// logOutage says once that Janus cannot be reached, and that it can again.
func (m *mounter) logOutage(err error) {
	log := m.forwarder.config.Log.With("janus", withoutSecrets(m.rule.Janus))
	if err == nil {
		log.Info("forward: Janus is there again")
		return
	}
	log.Error("forward: reach Janus", "error", err)
}

// spread makes an outage the state of the streams that want this Janus.
func (m *mounter) spread(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	for _, s := range m.wants() {
		s.fault(fmt.Errorf("reach Janus: %w", err))
	}
}

// wants is a copy of what is wanted.
func (m *mounter) wants() map[uint64]*sink {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[uint64]*sink, len(m.wanted))
	for id, s := range m.wanted {
		out[id] = s
	}
	return out
}

// reconcile destroys mountpoints that no stream wants and makes those that are missing. An error is
// one of the way to Janus; what Janus refuses for one stream is told to that one.
func (m *mounter) reconcile(ctx context.Context) error {
	all, err := m.list(ctx)
	if err != nil {
		return err
	}
	wanted, there := m.wants(), map[uint64]bool{}
	for _, p := range all {
		there[p.ID] = true
		if p.Metadata == m.mark && (m.made[p.ID] == nil || wanted[p.ID] == nil) {
			if err := m.destroy(ctx, p.ID); err != nil {
				return err
			}
			there[p.ID] = false
		}
	}
	for id := range m.made {
		if !there[id] {
			delete(m.made, id)
		}
	}
	for id, s := range wanted {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := m.provide(ctx, id, s, all); err != nil {
			return err
		}
	}
	return nil
}

// list asks for all mountpoints, with a new session if there is none.
func (m *mounter) list(ctx context.Context) (all []janus.Mountpoint, err error) {
	if m.handle != nil {
		if all, err = m.handle.List(ctx); err == nil || !errors.Is(err, janus.ErrSession) {
			return all, err
		}
	}
	if m.handle, err = m.server.Attach(ctx); err != nil {
		return nil, err
	}
	return m.handle.List(ctx)
}

// finish destroys all mountpoints with our mark: also one whose answer was lost.
func (m *mounter) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	if m.handle == nil && len(m.made) == 0 {
		return // Janus was never reached, or it is gone
	}
	if err := m.destroyAll(ctx); err != nil {
		m.forwarder.config.Log.Error("forward: mountpoints stay until the next start", "error", err)
		return
	}
	if err := m.handle.Detach(ctx); err != nil {
		m.forwarder.config.Log.Debug("forward: end the session at Janus", "error", err)
	}
	m.server.Client.CloseIdleConnections()
}

func (m *mounter) destroyAll(ctx context.Context) error {
	all, err := m.list(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.Metadata != m.mark {
			continue
		}
		if err := m.destroy(ctx, p.ID); err != nil {
			return err
		}
	}
	return nil
}
