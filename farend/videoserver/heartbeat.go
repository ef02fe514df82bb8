// How a video server says that it lives: an Announcer writes it into the store that camservers share;
// Joins takes what another's server posts. Test Joins with httptest.

package videoserver

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A Beater takes heartbeats; *store.Store is one.
type Beater interface {
	Heartbeat(ctx context.Context, s store.Server) error
}

// A Registry has the servers that announce themselves; *store.Store is one.
type Registry interface {
	Beater
	RemoveServer(ctx context.Context, name string) error
}

// An Announcer says of this process's video server that it lives.
type Announcer struct {
	Store  Registry
	Server store.Server                   // what stays: name, host, URL and token for calls, version
	Load   func() (streams, capacity int) // what changes
	Now    func() time.Time
	Log    *slog.Logger
}

// Run announces until ctx ends, and takes the server out of the store then: the other gateways grant its
// sources new streams at once.
func (a *Announcer) Run(ctx context.Context) {
	ticker := time.NewTicker(HeartbeatInterval)
	defer ticker.Stop()
	failed := false
	for {
		err := a.beat(ctx)
		switch {
		case err != nil && !failed && ctx.Err() == nil:
			a.Log.Warn("video servers: cannot announce this one", "error", err)
		case err == nil && failed:
			a.Log.Info("video servers: this one is announced again")
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			a.remove(context.WithoutCancel(ctx))
			return
		case <-ticker.C:
		}
	}
}

func (a *Announcer) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, HeartbeatInterval)
	defer cancel()
	s := a.Server
	s.Streams, s.Capacity = a.Load()
	s.SeenAt = a.Now()
	return a.Store.Heartbeat(ctx, s)
}

func (a *Announcer) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, HeartbeatInterval)
	defer cancel()
	if err := a.Store.RemoveServer(ctx, a.Server.Name); err != nil {
		a.Log.Warn("video servers: the others notice late that this one ends", "error", err)
	}
}

// joinMessage is what a video server posts of itself.
type joinMessage struct {
	Name     string `json:"name"`
	Host     string `json:"host"`
	Control  string `json:"control"`
	Capacity int    `json:"capacity"`
	Streams  int    `json:"streams"`
	Version  string `json:"version"`
}

type joinedMessage struct {
	IntervalS int `json:"interval_s"`
}

// Joins takes the heartbeats of video servers that the operator gave tokens.
type Joins struct {
	store  Beater
	tokens map[string]string // by the server's name
	hashes map[string][sha256.Size]byte
	now    func() time.Time
	log    *slog.Logger
}

// NewJoins takes tokens by the names of the servers that may join: nobody can take another's name.
func NewJoins(s Beater, tokens map[string]string, now func() time.Time, log *slog.Logger) (*Joins, error) {
	j := &Joins{store: s, tokens: tokens, hashes: map[string][sha256.Size]byte{}, now: now, log: log}
	for name, token := range tokens {
		if !isServerName(name) {
			return nil, fmt.Errorf("video server %q: a name has 1 to %d letters, digits, dots, - and _", name, idMax)
		}
		if len(token) < TokenMin {
			return nil, fmt.Errorf("video server %s: %w", name, ErrToken)
		}
		j.hashes[name] = sha256.Sum256([]byte(token))
	}
	return j, nil
}

func isServerName(s string) bool {
	return isStreamID(strings.NewReplacer(".", "0", "-", "0", "_", "0").Replace(s))
}

// ServeHTTP takes one heartbeat. It reads at most 16 KiB.
func (j *Joins) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m joinMessage
	err := read(w, r, &m)
	// An unknown name costs as much time as a wrong token.
	if hash, known := j.hashes[m.Name]; !matches(bearer(r), hash) || !known {
		deny(w)
		return
	}
	if err == nil {
		err = m.check()
	}
	if err == nil {
		err = j.store.Heartbeat(r.Context(), store.Server{
			Name: m.Name, Host: m.Host, Control: m.Control, Secret: j.tokens[m.Name],
			Version: wire.Printable(m.Version), Capacity: m.Capacity, Streams: m.Streams, SeenAt: j.now(),
		})
	}
	if err != nil {
		status, said := refusalOf(err)
		j.log.Warn("video servers: heartbeat", "server", m.Name, "error", err)
		answer(w, status, said)
		return
	}
	answer(w, http.StatusOK, joinedMessage{int(HeartbeatInterval / time.Second)})
}

// streamsMax is more than one machine has ports for.
const streamsMax = 65536

func (m joinMessage) check() error {
	if _, err := parseControl(m.Control); err != nil {
		return err
	}
	if m.Capacity < 0 || m.Capacity > streamsMax || m.Streams < 0 || m.Streams > streamsMax {
		return fmt.Errorf("%w: capacity and streams: 0 to %d are wanted", errMessage, streamsMax)
	}
	if !isHost(m.Host) {
		return fmt.Errorf("%w: host: a name or an IP address is wanted, without a port", errMessage)
	}
	return nil
}

// isHost takes an address or what may be a name.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return s != "" && len(s) <= 253 && !strings.ContainsAny(s, " /:@[]?#%\\") && net.ParseIP(s) == nil &&
		wire.Printable(s) == s
}
