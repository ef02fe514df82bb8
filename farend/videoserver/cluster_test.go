package videoserver

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// group is a cluster of servers on real HTTP, with a clock that the test moves.
type group struct {
	*Cluster
	t       *testing.T
	clock   *clock
	store   *fakeStore
	servers map[string]*fakeServer
	http    map[string]*httptest.Server
}

func newGroup(t *testing.T, c ClusterConfig, names ...string) *group {
	t.Helper()
	g := &group{t: t, clock: newClock(), store: &fakeStore{}, servers: map[string]*fakeServer{},
		http: map[string]*httptest.Server{}}
	c.Store, c.Now = g.store, g.clock.Now
	g.Cluster = NewCluster(c)
	t.Cleanup(g.Close)
	for _, name := range names {
		g.servers[name] = newFakeServer()
		h, err := NewHandler(g.servers[name], token, quiet)
		if err != nil {
			t.Fatal(err)
		}
		g.http[name] = httptest.NewServer(h)
		t.Cleanup(g.http[name].Close)
		g.beat(name, 0, 10)
	}
	return g
}

// beat says that a server lives, after another second.
func (g *group) beat(name string, streams, capacity int) {
	g.t.Helper()
	g.clock.advance(refreshInterval)
	err := g.store.Heartbeat(context.Background(), store.Server{
		Name: name, Host: name + ".example", Control: g.http[name].URL, Secret: token, Streams: streams,
		Capacity: capacity, SeenAt: g.clock.Now(),
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

// ask calls ByName once a second, as a gateway does: the server lives all the time.
func (g *group) ask(name string, seconds int) {
	g.t.Helper()
	for i := range seconds {
		if _, err := g.ByName(g.t.Context(), name); err != nil {
			g.t.Errorf("after %d s %s lives: %v", i, name, err)
		}
		g.clock.advance(time.Second)
	}
}

// begin chooses a server and begins a stream there.
func (g *group) begin(id string) (string, stream.Place, error) {
	name, s, err := g.Choose(g.t.Context(), stream.Grant{ID: id})
	if err != nil {
		return "", stream.Place{}, err
	}
	place, err := s.Begin(g.t.Context(), stream.Grant{ID: id})
	return name, place, err
}

func TestStreamGoesWhereTheSmallestShareOfThePlacesIsTaken(t *testing.T) {
	g := newGroup(t, ClusterConfig{}, "a", "b", "c")
	g.beat("a", 3, 10)
	g.beat("b", 5, 20)
	g.beat("c", 0, 0) // takes nothing
	g.clock.advance(refreshInterval)
	var took []string
	for i := range 22 {
		name, place, err := g.begin(fmt.Sprintf("s%d", i))
		if err != nil || place.Host != name+".example" {
			t.Fatalf("stream %d: %+v, %v", i, place, err)
		}
		took = append(took, name)
	}
	if took[0] != "b" {
		t.Errorf("the first went to %s, want b: 5 of 20 are less than 3 of 10", took[0])
	}
	if a, b := g.servers["a"].count(), g.servers["b"].count(); a != 7 || b != 15 || g.servers["c"].count() != 0 {
		t.Errorf("%d and %d streams, want 7 and 15: the places that were free", a, b)
	}
	if _, _, err := g.begin("more"); !errors.Is(err, stream.ErrFull) {
		t.Errorf("one more = %v, want %v", err, stream.ErrFull)
	}
	g.beat("b", 20, 20)
	g.beat("a", 9, 10) // one has ended
	g.clock.advance(refreshInterval)
	if name, _, err := g.begin("again"); name != "a" || err != nil {
		t.Errorf("with a place at a again: %q, %v", name, err)
	}
}

func TestTiesAreBrokenAtRandom(t *testing.T) {
	g := newGroup(t, ClusterConfig{}, "a", "b", "c", "d")
	g.clock.advance(refreshInterval)
	count := map[string]int{}
	const rounds = 1000
	for range rounds {
		name, _, err := g.Choose(t.Context(), stream.Grant{})
		if err != nil {
			t.Fatal(err)
		}
		count[name]++
	}
	const share = 0.25
	sigma := math.Sqrt(rounds * share * (1 - share)) // six of them are beyond once in 500 million runs
	for name, n := range count {
		if math.Abs(float64(n)-rounds*share) > 6*sigma {
			t.Errorf("%s was chosen %d times of %d", name, n, rounds)
		}
	}
	if len(count) != 4 {
		t.Errorf("%v", count)
	}
}

func TestOwnServerNeedsNoHeartbeatAndNoHTTP(t *testing.T) {
	local, streams := newFakeServer(), 0
	load := func() (int, int) { return streams, 2 }
	g := newGroup(t, ClusterConfig{Name: "own", Local: local, Load: load}, "own", "b")
	name, _, err := g.Choose(t.Context(), stream.Grant{})
	if err != nil || name != "own" && name != "b" {
		t.Fatalf("Choose = %q, %v", name, err)
	}
	if s, err := g.ByName(t.Context(), "own"); err != nil || s != stream.VideoServer(local) {
		t.Errorf("ByName = %v, %v, want the local one itself", s, err)
	}
	streams = 2
	if name, _, err := g.Choose(t.Context(), stream.Grant{}); name != "b" || err != nil {
		t.Errorf("with the own one full: %q, %v", name, err)
	}
	g.store.setError(errors.New("database gone"))
	if s, err := g.ByName(t.Context(), "own"); err != nil || s == nil {
		t.Errorf("ByName without the store = %v, %v", s, err)
	}
}

func TestServerIsDeadAfterThreeMissingHeartbeats(t *testing.T) {
	g := newGroup(t, ClusterConfig{}, "a", "b")
	g.clock.advance(refreshInterval)
	for range 3 {
		if _, err := g.ByName(t.Context(), "a"); err != nil {
			t.Errorf("a lives: %v", err)
		}
		g.clock.advance(HeartbeatInterval - refreshInterval)
		g.beat("b", 0, 10)
	}
	g.ask("b", 2)
	if _, err := g.ByName(t.Context(), "a"); !errors.Is(err, stream.ErrUnreachable) {
		t.Errorf("ByName(a) = %v, want %v", err, stream.ErrUnreachable)
	}
	for range 20 {
		if name, _, err := g.Choose(t.Context(), stream.Grant{}); name != "b" || err != nil {
			t.Fatalf("Choose = %q, %v, want b", name, err)
		}
	}
	g.beat("a", 0, 10)
	g.clock.advance(refreshInterval)
	if _, err := g.ByName(t.Context(), "a"); err != nil {
		t.Errorf("a is back: %v", err)
	}
	if _, err := g.ByName(t.Context(), "nobody"); !errors.Is(err, stream.ErrUnreachable) {
		t.Errorf("ByName of a server that never was = %v", err)
	}
}

// Heartbeats that nobody could write say nothing about their servers, however long the store was away,
// whatever the clocks of others are, and whether anybody asked meanwhile or not.
func TestNobodyIsDeadBecauseTheStoreWasAway(t *testing.T) {
	for _, away := range []time.Duration{30 * time.Second, 10 * time.Minute} {
		for _, asks := range []bool{true, false} {
			g := newGroup(t, ClusterConfig{}, "a")
			g.ask("a", 1)
			gone := errors.New("database gone")
			g.store.setError(gone)
			for range away / time.Second {
				g.clock.advance(time.Second)
				if !asks {
					continue
				}
				_, err := g.ByName(t.Context(), "a")
				if !errors.Is(err, gone) || errors.Is(err, stream.ErrUnreachable) {
					t.Fatalf("ByName without the store = %v", err)
				}
			}
			g.store.setError(nil)
			g.ask("a", int(deadAfter/time.Second))
			g.clock.advance(time.Second)
			if _, err := g.ByName(t.Context(), "a"); !errors.Is(err, stream.ErrUnreachable) {
				t.Errorf("it never came back after %v, and ByName = %v", away, err)
			}
		}
	}
}

// A Begin that failed says little about the streams that run there: a connection that was just being closed,
// a request that had no time left, a server with a defect.
func TestServerThatFailedToBeginGetsNoNewStreamsAndKeepsItsOwn(t *testing.T) {
	for _, why := range []error{stream.ErrUnreachable, errors.New("defect"), errMessage} {
		g := newGroup(t, ClusterConfig{}, "a", "b")
		g.beat("b", 5, 10)
		g.clock.advance(refreshInterval)
		g.servers["a"].err = why
		if name, _, err := g.begin("s"); name != "a" || err == nil {
			t.Errorf("the first = %q, %v", name, err)
		}
		if name, _, err := g.begin("s"); name != "b" || err != nil {
			t.Errorf("after %v the next = %q, %v, want b", why, name, err)
		}
		if _, err := g.ByName(t.Context(), "a"); err != nil {
			t.Errorf("after %v ByName = %v: its streams would be ended", why, err)
		}
		g.beat("b", 10, 10)
		g.beat("a", 0, 10)
		g.clock.advance(refreshInterval)
		if name, _, err := g.Choose(t.Context(), stream.Grant{}); name != "a" || err != nil {
			t.Errorf("with no place elsewhere Choose = %q, %v, want a: it may work again", name, err)
		}
		for range avoidFor / refreshInterval {
			g.beat("b", 5, 10)
		}
		g.beat("a", 0, 10)
		g.clock.advance(refreshInterval)
		if name, _, err := g.Choose(t.Context(), stream.Grant{}); name != "a" || err != nil {
			t.Errorf("%v later Choose = %q, %v, want a", avoidFor, name, err)
		}
	}
}

// What is wrong with a source is not wrong with its server.
func TestServerIsNotAvoidedForWhatItsSourceCannot(t *testing.T) {
	for _, why := range []error{stream.ErrAmbiguous, stream.ErrNeedsMux} {
		g := newGroup(t, ClusterConfig{}, "a", "b")
		g.beat("b", 5, 10)
		g.clock.advance(refreshInterval)
		g.servers["a"].err = why
		if name, _, err := g.begin("s"); name != "a" || !errors.Is(err, why) {
			t.Errorf("%q, %v, want a and %v", name, err, why)
		}
		if name, _, err := g.Choose(t.Context(), stream.Grant{}); name != "a" || err != nil {
			t.Errorf("the next = %q, %v, want a", name, err)
		}
	}
}

func TestOwnServerThatFailedGivesWayToAnother(t *testing.T) {
	local := newFakeServer()
	g := newGroup(t, ClusterConfig{Name: "own", Local: local, Load: func() (int, int) { return 0, 10 }}, "own", "b")
	g.beat("b", 5, 10)
	g.clock.advance(refreshInterval)
	local.err = fmt.Errorf("no port: %w", stream.ErrFull) // its pool's ports are another program's
	if name, _, err := g.begin("s"); name != "own" || !errors.Is(err, stream.ErrFull) {
		t.Errorf("the first = %q, %v", name, err)
	}
	if name, _, err := g.begin("s"); name != "b" || err != nil {
		t.Errorf("the next = %q, %v, want b", name, err)
	}
}

func TestServerThatKeysCannotReachIsPassedOver(t *testing.T) {
	g := newGroup(t, ClusterConfig{}, "a")
	g.clock.advance(refreshInterval)
	for name, control := range map[string]string{"plain": "http://192.0.2.1:8090", "other": "http://192.0.2.2:8090"} {
		err := g.store.Heartbeat(t.Context(), store.Server{Name: name, Control: control, Secret: token, Capacity: 100,
			SeenAt: g.clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
	}
	encrypted := stream.Grant{SRTP: &wire.SRTP{}}
	for range 20 {
		if name, _, err := g.Choose(t.Context(), encrypted); name != "a" || err != nil {
			t.Fatalf("Choose = %q, %v, want a: it is on this machine", name, err)
		}
	}
	if err := g.store.RemoveServer(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	g.clock.advance(refreshInterval)
	if _, _, err := g.Choose(t.Context(), encrypted); !errors.Is(err, errKeys) {
		t.Errorf("Choose = %v, want %v", err, errKeys)
	}
	if _, _, err := g.Choose(t.Context(), stream.Grant{}); err != nil {
		t.Errorf("Choose without keys = %v", err)
	}
}

// A clock that differs by hours, here or there, kills nobody: a server lives while its heartbeats come.
func TestServerLivesWhateverItsClock(t *testing.T) {
	g := newGroup(t, ClusterConfig{}, "a", "b")
	seen := g.clock.Now().Add(-time.Hour)
	for range 20 {
		g.clock.advance(time.Second)
		seen = seen.Add(time.Second)
		err := g.store.Heartbeat(t.Context(), store.Server{Name: "b", Control: g.http["b"].URL, Secret: token,
			Capacity: 10, SeenAt: seen})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.ByName(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestServerWhoseProcessIsGoneIsLeftAtOnce(t *testing.T) {
	g := newGroup(t, ClusterConfig{}, "a", "b")
	g.clock.advance(refreshInterval)
	a, err := g.ByName(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	g.http["a"].Close()
	if _, err := a.Captured(t.Context(), "x", netip.Addr{}); !errors.Is(err, stream.ErrUnreachable) {
		t.Errorf("Captured = %v", err)
	}
	if _, err := g.ByName(t.Context(), "a"); !errors.Is(err, stream.ErrUnreachable) {
		t.Errorf("ByName = %v, want dead", err)
	}
	if name, _, err := g.begin("s"); name != "b" || err != nil {
		t.Errorf("a stream went to %q, %v", name, err)
	}
}

// What a heartbeat says may be some seconds old: whoever refuses is not asked again until the next.
func TestNextChoiceIsAnotherAfterOneHasRefused(t *testing.T) {
	for _, why := range []error{stream.ErrFull, stream.ErrUnreachable} {
		g := newGroup(t, ClusterConfig{}, "a", "b")
		g.beat("b", 5, 10)
		g.clock.advance(refreshInterval)
		g.servers["a"].err = why
		if name, _, err := g.begin("s"); name != "a" || !errors.Is(err, why) {
			t.Errorf("the first = %q, %v", name, err)
		}
		if name, _, err := g.begin("s"); name != "b" || err != nil {
			t.Errorf("after %v the next = %q, %v, want b", why, name, err)
		}
	}
}

func TestServerWithoutAURLIsNeitherChosenNorDead(t *testing.T) {
	g := newGroup(t, ClusterConfig{})
	desk := store.Server{Name: "desk", Capacity: 5, SeenAt: g.clock.Now()}
	if err := g.store.Heartbeat(t.Context(), desk); err != nil {
		t.Fatal(err)
	}
	if _, err := g.ByName(t.Context(), "desk"); err == nil || errors.Is(err, stream.ErrUnreachable) {
		t.Errorf("ByName = %v, want an error that does not mean dead", err)
	}
	if _, _, err := g.Choose(t.Context(), stream.Grant{}); !errors.Is(err, stream.ErrUnreachable) {
		t.Errorf("Choose = %v", err)
	}
}

func TestLocalEndsWhatNoGatewayAsksFor(t *testing.T) {
	f, c := newFakeServer(), newClock()
	l := NewLocal(f, c.Now, quiet)
	for _, g := range []stream.Grant{{ID: "a", Lease: time.Minute}, {ID: "b", Lease: time.Minute}, {ID: "c"}} {
		if _, err := l.Begin(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	c.advance(time.Minute)
	if _, err := l.Captured(t.Context(), "b", netip.Addr{}); err != nil {
		t.Error(err)
	}
	c.advance(time.Second)
	l.endExpired(t.Context())
	if f.open["a"] || !f.open["b"] || !f.open["c"] {
		t.Errorf("open: %v, want b and c", f.open)
	}
	if err := l.End(t.Context(), "b", "enough"); err != nil || len(l.leases) != 0 {
		t.Errorf("End = %v, %d leases left", err, len(l.leases))
	}
	f.err = stream.ErrFull
	if _, err := l.Begin(t.Context(), stream.Grant{ID: "d", Lease: time.Minute}); err == nil || len(l.leases) != 0 {
		t.Errorf("a stream that did not begin has a lease: %v", err)
	}
}

func TestHeartbeatOfAnotherIsTakenWithItsOwnTokenOnly(t *testing.T) {
	kept, c := &fakeStore{}, newClock()
	j, err := NewJoins(kept, map[string]string{"v1": token, "v-2.x": token + "2"}, c.Now, quiet)
	if err != nil {
		t.Fatal(err)
	}
	const good = `{"name":"v1","host":"192.0.2.7","control":"http://192.0.2.7:8090",` +
		`"capacity":10,"streams":2,"version":"1"}`
	for _, one := range []struct {
		name, token, body string
		status            int
	}{
		{"a good one", token, good, 200},
		{"another's token", token + "2", good, 401},
		{"no token", "", good, 401},
		{"a name that nobody gave", token, strings.Replace(good, "v1", "v3", 1), 401},
		{"no JSON", token, `x`, 401},
		{"a port in its host", token, strings.Replace(good, `"192.0.2.7"`, `"192.0.2.7:5004"`, 1), 400},
		{"no host", token, strings.Replace(good, `"192.0.2.7"`, `""`, 1), 400},
		{"a URL that cannot be called", token, strings.Replace(good, "http:", "file:", 1), 400},
		{"places of no sense", token, strings.Replace(good, "10", "-1", 1), 400},
		{"more than there are", token, strings.Replace(good, "10", "70000", 1), 400},
	} {
		if w := serve(j, "/", one.token, one.body, "192.0.2.7:9"); w.Code != one.status {
			t.Errorf("%s: %d %s, want %d", one.name, w.Code, w.Body, one.status)
		}
	}
	want := store.Server{Name: "v1", Host: "192.0.2.7", Control: "http://192.0.2.7:8090", Secret: token, Version: "1",
		Capacity: 10, Streams: 2, SeenAt: c.Now()}
	if got := kept.list(); len(got) != 1 || got[0] != want {
		t.Errorf("the store has %+v, want %+v", got, want)
	}
	for name, token := range map[string]string{"v1": "short", "a b": token, "": token} {
		if _, err := NewJoins(kept, map[string]string{name: token}, c.Now, quiet); err == nil {
			t.Errorf("%q with token %q was taken", name, token)
		}
	}
}

func TestAnnouncerSaysThatItLivesAndIsForgottenAtTheEnd(t *testing.T) {
	kept := &fakeStore{}
	a := &Announcer{Store: kept, Server: store.Server{Name: "a", Host: "a.example"}, Now: time.Now, Log: quiet,
		Load: func() (int, int) { return 3, 50 }}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { a.Run(ctx); close(done) }()
	eventually(t, "a heartbeat", func() bool { return len(kept.list()) == 1 })
	if s := kept.list()[0]; s.Streams != 3 || s.Capacity != 50 || s.Host != "a.example" || s.SeenAt.IsZero() {
		t.Errorf("%+v", s)
	}
	cancel()
	<-done
	if list := kept.list(); len(list) != 0 {
		t.Errorf("at the end the store has %+v", list)
	}
}

func FuzzJoin(f *testing.F) {
	f.Add(`{"name":"v1","host":"192.0.2.7","control":"http://192.0.2.7:8090","capacity":10,"streams":2,"version":"1"}`)
	f.Fuzz(func(t *testing.T, body string) {
		kept := &fakeStore{}
		j, err := NewJoins(kept, map[string]string{"v1": token}, time.Now, quiet)
		if err != nil {
			t.Fatal(err)
		}
		w := serve(j, "/", token, body, "192.0.2.7:9")
		if got := kept.list(); (len(got) == 1) != (w.Code == http.StatusOK) || len(got) == 1 && !isHost(got[0].Host) {
			t.Errorf("%q: %d %s, the store has %+v", body, w.Code, w.Body, got)
		}
	})
}
