package rollout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/sqlite"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func v2() Update { return Update{Version: "v2", Board: "rpi", Index: 200} }

func old(serial string) wire.Board {
	return wire.Board{Serial: serial, Board: "rpi", Version: "v1", Index: 100}
}

// bundles are files in memory, by what Offer.Bundle says.
type bundles map[string]*Bundle

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func (b bundles) open(name string) (*Bundle, error) {
	one, ok := b[name]
	if !ok {
		return nil, errors.New("no such file")
	}
	return one, nil
}

func bundleOf(u Update, content []byte) *Bundle {
	return &Bundle{Update: u, Size: int64(len(content)), ETag: "abc", Body: memory{bytes.NewReader(content)}}
}

// A fixture is a database with two customers, and servers that share it.
type fixture struct {
	t       *testing.T
	store   *store.Store
	bundles bundles
	log     bytes.Buffer
	logMu   sync.Mutex
	a, b    string // the hashes of their keys
	idA     int64
	idB     int64
}

// Write takes the servers' logs.
func (f *fixture) Write(b []byte) (int, error) {
	f.logMu.Lock()
	defer f.logMu.Unlock()
	return f.log.Write(b)
}

func (f *fixture) logged() string {
	f.logMu.Lock()
	defer f.logMu.Unlock()
	return f.log.String()
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "camserver.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &fixture{t: t, store: s, a: store.HashKey("a"), b: store.HashKey("b"),
		bundles: bundles{"v2": bundleOf(v2(), bytes.Repeat([]byte("krazycam"), 12_500))}}
	for _, c := range []struct {
		name, hash string
		id         *int64
	}{{"a", f.a, &f.idA}, {"b", f.b, &f.idB}} {
		*c.id, err = s.AddCustomer(t.Context(), store.Customer{Name: c.name, KeyHash: c.hash, Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// server is one more that shares the database.
func (f *fixture) server() *Rollouts {
	return NewRollouts(RolloutsConfig{
		Store: f.store, Open: f.bundles.open, Secure: true, Log: slog.New(slog.NewTextHandler(f, nil)),
		BoardOf: func(model string) string { return map[string]string{"Raspberry Pi 4": "rpi"}[model] },
	})
}

// offer adds one of v2, for all, changed by change.
func (f *fixture) offer(change func(*store.Offer)) store.Offer {
	f.t.Helper()
	o := store.Offer{Bundle: "v2", Version: "v2", Board: "rpi", Index: 200, Share: 1, Enabled: true}
	if change != nil {
		change(&o)
	}
	var err error
	if o.ID, err = f.store.AddOffer(f.t.Context(), o); err != nil {
		f.t.Fatal(err)
	}
	return o
}

func (f *fixture) board(o store.Offer, serial string) store.OfferBoard {
	f.t.Helper()
	b, err := f.store.OfferBoard(f.t.Context(), o.ID, f.idA, serial)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

func (f *fixture) counts(o store.Offer) Counts {
	f.t.Helper()
	c, err := CountsOf(f.t.Context(), f.store, o)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

const host = "cams.example:8443"

func TestAnUpdateOfTheDatabaseIsOfferedToOlderBoardsOfItsKind(t *testing.T) {
	f := newFixture(t)
	f.offer(nil)
	r := f.server()
	for i, c := range []struct {
		name string
		b    wire.Board
		want bool
	}{
		{"an older one", wire.Board{Board: "rpi", Version: "v1", Index: 100}, true},
		{"one that does not say how old it is", wire.Board{Board: "rpi", Version: "v1"}, true},
		{"one that says its model only", wire.Board{Model: "Raspberry Pi 4", Version: "v1"}, true},
		{"an unknown model", wire.Board{Model: "Banana", Version: "v1"}, false},
		{"another kind of board", wire.Board{Board: "bbb", Version: "v1"}, false},
		{"one that runs it", wire.Board{Board: "rpi", Version: "v2", Index: 200}, false},
		{"one that runs it and does not say how old that is", wire.Board{Board: "rpi", Version: "v2"}, false},
		{"an older one of the same name", wire.Board{Board: "rpi", Version: "v2", Index: 150}, true},
		{"a newer one", wire.Board{Board: "rpi", Version: "v3", Index: 300}, false},
		{"one as old", wire.Board{Board: "rpi", Version: "x", Index: 200}, false},
		{"one that tries another version", wire.Board{Board: "rpi", Version: "v1.5", Trial: true}, false},
		{"one on which it failed", wire.Board{Board: "rpi", Version: "v1", FailedVersion: "v2"}, false},
		{"one on which this build failed",
			wire.Board{Board: "rpi", Version: "v1", FailedVersion: "v2", FailedIndex: 200}, false},
		{"one on which an older build of the same name failed",
			wire.Board{Board: "rpi", Version: "v1", FailedVersion: "v2", FailedIndex: 150}, true},
		{"one on which another version failed",
			wire.Board{Board: "rpi", Version: "v1", FailedVersion: "v1.9"}, true},
	} {
		c.b.Serial = fmt.Sprint(i)
		if got := r.Offer(context.Background(), f.a, c.b, host) != nil; got != c.want {
			t.Errorf("%s: offered %v, want %v", c.name, got, c.want)
		}
	}
	for _, b := range []wire.Board{{Board: "rpi", Version: "v1"}, {}} { // no serial number, a PC
		if r.Offer(context.Background(), f.a, b, host) != nil {
			t.Errorf("%+v was offered it", b)
		}
	}
	if r.Offer(context.Background(), store.HashKey("stranger"), old("s"), host) != nil {
		t.Error("offered to whom nobody knows")
	}
}

// The life of a good update, and of a bad one, as boards tell it to two servers by turns.
func TestPhasesAreTheSameWhicheverServerIsTold(t *testing.T) {
	f := newFixture(t)
	o := f.offer(nil)
	servers := []*Rollouts{f.server(), f.server()}
	var phases []Phase
	turn := 0
	step := func(b wire.Board) *wire.Update {
		turn++
		u := servers[turn%2].Offer(context.Background(), f.a, b, host)
		phases = append(phases, Phase(f.board(o, b.Serial).Phase))
		return u
	}
	trial := wire.Board{Serial: "s", Board: "rpi", Version: "v2", Index: 200, Trial: true}
	good := wire.Board{Serial: "s", Board: "rpi", Version: "v2", Index: 200}
	first := step(old("s"))
	get(t, servers[1], first.URL, "bytes=0-499")
	if again := step(old("s")); again == nil || *again != *first {
		t.Errorf("%+v, then %+v: a fetch could not go on", first, again)
	}
	step(trial)
	step(old("s")) // the gateways were out meanwhile
	step(trial)
	step(good)
	want := []Phase{Offered, Fetching, OnTrial, NotJudged, OnTrial, Promoted}
	if diff := cmp.Diff(want, phases); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	offered := step(old("bad"))
	failed := old("bad")
	failed.FailedVersion, failed.FailedBecause = "v2", "no picture"
	if step(failed) != nil || step(old("bad")) != nil {
		t.Error("offered again to a board on which it failed")
	}
	if b := f.board(o, "bad"); b.Because != "no picture" {
		t.Errorf("%+v", b)
	}
	for _, r := range servers {
		if status, _, _ := get(t, r, offered.URL, ""); status != http.StatusNotFound {
			t.Errorf("a board on which it failed fetches it: %d", status)
		}
	}
	if c := f.counts(o); c.Promoted != 1 || c.FellBack != 1 || c.Offered+c.Fetching+c.OnTrial+c.NotJudged != 0 {
		t.Errorf("%+v", c)
	}
}

// get asks a server for what a URL of an offer names.
func get(t *testing.T, r *Rollouts, url, ranges string) (int, []byte, http.Header) {
	t.Helper()
	q := httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if ranges != "" {
		q.Header.Set("Range", ranges)
		q.Header.Set("If-Range", `"abc"`)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, q)
	return w.Code, w.Body.Bytes(), w.Header()
}

func TestFallbacksStopAnUpdateAtEveryServer(t *testing.T) {
	f := newFixture(t)
	o := f.offer(func(o *store.Offer) { o.StopAfter = 3 })
	one, other := f.server(), f.server()
	good := one.Offer(context.Background(), f.a, old("good"), host)
	fall := func(r *Rollouts, i int) {
		b := old(fmt.Sprint("bad", i))
		r.Offer(context.Background(), f.a, b, host)
		b.FailedVersion = "v2"
		for range 3 { // a board says it every minute
			r.Offer(context.Background(), f.a, b, host)
		}
	}
	fall(one, 0)
	fall(other, 1)
	if f.counts(o).Stopped || one.Offer(context.Background(), f.a, old("good"), host) == nil {
		t.Fatal("stopped after two")
	}
	fall(other, 2)
	// A board that was never offered it is decided about in the database, at once and anywhere.
	ctx := context.Background()
	if one.Offer(ctx, f.a, old("new"), host) != nil || other.Offer(ctx, f.a, old("good"), host) != nil {
		t.Error("offered after three boards fell back")
	}
	until(t, "the other server knows", func() bool { return one.Offer(ctx, f.a, old("good"), host) == nil })
	for _, r := range []*Rollouts{one, other, f.server()} {
		if status, _, _ := get(t, r, good.URL, ""); status != http.StatusNotFound {
			t.Errorf("served after the stop: %d", status)
		}
	}
	if c := f.counts(o); c.FellBack != 3 || !c.Stopped || !strings.HasSuffix(c.String(), "fell back 3: stopped") {
		t.Errorf("%+v: %s", c, c)
	}
	if got := strings.Count(f.logged(), "nobody is offered it any more"); got != 1 {
		t.Errorf("the stop was logged %d times:\n%s", got, f.logged())
	}
}

// until waits for what another server must notice within rereadInterval.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within 30 s: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Fifty boards at once, at three servers: no more than two may fall back before it stops, plus those that
// had it already.
func TestCountsAreRightWhenServersAreToldAtOnce(t *testing.T) {
	f := newFixture(t)
	o := f.offer(func(o *store.Offer) { o.StopAfter = 20 })
	servers := []*Rollouts{f.server(), f.server(), f.server()}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			b := old(fmt.Sprint(i))
			r := servers[i%len(servers)]
			r.Offer(context.Background(), f.a, b, host)
			b.FailedVersion = "v2"
			r.Offer(context.Background(), f.a, b, host)
			servers[(i+1)%len(servers)].Offer(context.Background(), f.a, b, host)
		})
	}
	all.Wait()
	if c := f.counts(o); c.FellBack != 50 || !c.Stopped || c.Offered != 0 {
		t.Errorf("%+v, want 50 that fell back", c)
	}
	if got := strings.Count(f.logged(), "nobody is offered it any more"); got != 1 {
		t.Errorf("the stop was logged %d times", got)
	}
}

func TestRulesChooseWhoIsOfferedWhat(t *testing.T) {
	f := newFixture(t)
	f.bundles["v3"] = bundleOf(Update{"v3", "rpi", 300}, []byte("v3"))
	f.bundles["v2b"] = bundleOf(Update{"v2", "bbb", 200}, []byte("v2b"))
	f.offer(nil)
	f.offer(func(o *store.Offer) { o.Bundle, o.Board = "v2b", "bbb" })
	v3 := f.offer(func(o *store.Offer) { o.Bundle, o.Version, o.Index, o.Customer = "v3", "v3", 300, f.idB })
	r := f.server()
	version := func(hash string, b wire.Board) string {
		if u := r.Offer(context.Background(), hash, b, host); u != nil {
			return u.Version
		}
		return ""
	}
	bbb := old("s")
	bbb.Board = "bbb"
	got := []string{version(f.a, old("s")), version(f.b, old("s")), version(f.a, bbb)}
	if diff := cmp.Diff([]string{"v2", "v3", "v2"}, got); diff != "" {
		t.Errorf("one customer, the other, a BeagleBone (-want +got):\n%s", diff)
	}
	v3.Enabled = false // paused: the older one is left
	if err := f.store.UpdateOffer(t.Context(), v3); err != nil {
		t.Fatal(err)
	}
	until(t, "the newer offer is paused", func() bool { return version(f.b, old("s")) == "v2" })
	runs := wire.Board{Serial: "s", Board: "rpi", Version: "v3", Index: 300}
	version(f.b, runs)
	if c := f.counts(v3); c.Promoted != 1 {
		t.Errorf("%+v: what boards say counts while an offer is paused", c)
	}
	if err := f.store.RemoveOffer(t.Context(), v3.ID); err != nil {
		t.Fatal(err)
	}
	until(t, "the newer offer is gone", func() bool { return version(f.b, old("s")) == "v2" })
}

func TestAShareIsTheSameBoardsAtEveryServerAndGrows(t *testing.T) {
	f := newFixture(t)
	o := f.offer(func(o *store.Offer) { o.Share = 0.2 })
	chosen := func() map[string]bool {
		all := map[string]bool{}
		r := f.server()
		for i := range 200 {
			if s := fmt.Sprintf("10000000%08x", i*7919); r.Offer(context.Background(), f.a, old(s), host) != nil {
				all[s] = true
			}
		}
		return all
	}
	few, again := chosen(), chosen()
	if diff := cmp.Diff(few, again); diff != "" || len(few) < 20 || len(few) > 60 {
		t.Errorf("%d of 200 boards, want about 40; another server:\n%s", len(few), diff)
	}
	o.Share = 0.6
	if err := f.store.UpdateOffer(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	more := chosen()
	for s := range few {
		if !more[s] {
			t.Errorf("%s was chosen at 20 %% and not at 60 %%", s)
		}
	}
}

func TestAServerOffersOnlyWhatItCanServe(t *testing.T) {
	f := newFixture(t)
	with, without := f.server(), NewRollouts(RolloutsConfig{
		Store: f.store, Open: bundles{"v2": bundleOf(Update{"v1", "rpi", 100}, nil)}.open, Secure: true,
		Log: slog.New(slog.NewTextHandler(f, nil)),
	})
	plain := NewRollouts(RolloutsConfig{Store: f.store, Open: f.bundles.open})
	o := f.offer(nil)
	u := with.Offer(context.Background(), f.a, old("s"), host)
	if u == nil || u.Check() != nil || !strings.HasPrefix(u.URL, "https://"+host+PathPrefix) {
		t.Fatalf("%+v", u)
	}
	for range 3 {
		if without.Offer(context.Background(), f.a, old("s"), host) != nil ||
			plain.Offer(context.Background(), f.a, old("s"), host) != nil {
			t.Error("offered by a server that has another file, or no https")
		}
	}
	if status, _, _ := get(t, without, u.URL, ""); status != http.StatusNotFound {
		t.Errorf("a server with another file answers %d", status)
	}
	if got := strings.Count(f.logged(), "another version, board or build"); got != 1 {
		t.Errorf("logged %d times:\n%s", got, f.logged())
	}
	o.Bundle, o.Now = "https://files.example/v2.update", true
	if err := f.store.UpdateOffer(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	until(t, "the bundle lies elsewhere", func() bool {
		u := plain.Offer(context.Background(), f.a, old("s"), host)
		return u != nil && u.URL == o.Bundle && bool(u.Now)
	})
}

func TestRangesAreServedByAnyServerAndKept(t *testing.T) {
	f := newFixture(t)
	o := f.offer(nil)
	one, other := f.server(), f.server()
	url := one.Offer(context.Background(), f.a, old("s"), host).URL
	bundle := bytes.Repeat([]byte("krazycam"), 12_500)
	if status, body, h := get(t, one, url, "bytes=0-999"); status != 206 || !bytes.Equal(body, bundle[:1000]) ||
		h.Get("ETag") != `"abc"` {
		t.Errorf("a range: %d, %d bytes, %v", status, len(body), h)
	}
	if status, body, _ := get(t, other, url, "bytes=1000-"); status != 206 || !bytes.Equal(body, bundle[1000:]) {
		t.Errorf("the rest, from another server: %d, %d bytes", status, len(body))
	}
	if b := f.board(o, "s"); b.Phase != string(Fetching) || b.Bytes != int64(len(bundle)) {
		t.Errorf("%+v", b)
	}
	for _, path := range []string{
		"/update/krazycam-v2-rpi.update", "/update//krazycam-v2-rpi.update", "/update/x/krazycam-v2-rpi.update",
		url + "x", "/update/", "/update/../../etc/passwd",
	} {
		if status, _, _ := get(t, one, path, ""); status != http.StatusNotFound {
			t.Errorf("GET %s = %d, want 404", path, status)
		}
	}
	put := httptest.NewRecorder()
	one.ServeHTTP(put, httptest.NewRequestWithContext(t.Context(), http.MethodPut, url, nil))
	if put.Code != http.StatusMethodNotAllowed {
		t.Errorf("PUT = %d, want 405", put.Code)
	}
	for range fetchesMax {
		one.places <- struct{}{}
	}
	if status, _, _ := get(t, one, "/update/x/krazycam-v2-rpi.update", ""); status != http.StatusNotFound {
		t.Errorf("a wrong token beside %d fetches = %d, want 404", fetchesMax, status)
	}
	if status, _, h := get(t, one, url, ""); status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" {
		t.Errorf("%d, %v, want 503 and when to ask again", status, h)
	}
}

// What the operator learns in the middle of a fetch ends it, whichever server was told.
func TestAFetchBreaksOffWhenTheUpdateIsStoppedElsewhere(t *testing.T) {
	f := newFixture(t)
	size := 256 << 20
	f.bundles["v2"] = &Bundle{Update: v2(), Size: int64(size), ETag: "abc", Body: zeros{}}
	f.offer(func(o *store.Offer) { o.StopAfter = 1 })
	one, other := f.server(), f.server()
	server := httptest.NewServer(one)
	defer server.Close()
	url := server.URL + strings.TrimPrefix(one.Offer(context.Background(), f.a, old("s"), host).URL, "https://"+host)
	got, err := server.Client().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if _, err := io.ReadFull(got.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	bad := old("bad")
	bad.FailedVersion = "v2"
	other.Offer(context.Background(), f.a, bad, host)
	<-time.After(2 * rereadInterval)
	n, err := io.Copy(io.Discard, got.Body)
	if err == nil || int(n)+1000 >= size {
		t.Errorf("%d bytes came, %v, want an end before %d", n, err, size)
	}
}

// zeros is a file of zeros.
type zeros struct{}

func (zeros) ReadAt(b []byte, _ int64) (int, error) { clear(b); return len(b), nil }
func (zeros) Close() error                          { return nil }

// The server's limits are for answers of a few hundred bytes; a board on a slow line needs longer, and one
// that takes nothing loses its place.
func TestASlowBoardHasTimeAndASilentOneLosesItsPlace(t *testing.T) {
	f := newFixture(t)
	size := int64(32 << 20)
	f.bundles["v2"] = &Bundle{Update: v2(), Size: size, ETag: "abc", Body: zeros{}}
	f.offer(nil)
	r := f.server()
	server := httptest.NewUnstartedServer(r)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 500*time.Millisecond, 500*time.Millisecond
	server.Start()
	defer server.Close()
	url := server.URL + strings.TrimPrefix(r.Offer(context.Background(), f.a, old("s"), host).URL, "https://"+host)
	fetch := func() *http.Response {
		got, err := server.Client().Get(url)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	slow := fetch()
	defer slow.Body.Close()
	if _, err := io.CopyN(io.Discard, slow.Body, size/2); err != nil {
		t.Fatal(err)
	}
	<-time.After(3 * server.Config.WriteTimeout)
	if n, err := io.Copy(io.Discard, slow.Body); err != nil || n != size/2 {
		t.Errorf("%d bytes came, %v", n, err)
	}
	r.stall = 50 * time.Millisecond
	silent := fetch()
	defer silent.Body.Close()
	until(t, "the silent board lost its place", func() bool { return len(r.places) == 0 })
}

// One board, or whoever has its address, must not keep the others from updating.
func TestABoardHasOneFetchTheLatest(t *testing.T) {
	f := newFixture(t)
	size := int64(32 << 20)
	f.bundles["v2"] = &Bundle{Update: v2(), Size: size, ETag: "abc", Body: zeros{}}
	f.offer(nil)
	r := f.server()
	server := httptest.NewServer(r)
	defer server.Close()
	url := server.URL + strings.TrimPrefix(r.Offer(context.Background(), f.a, old("s"), host).URL, "https://"+host)
	var last *http.Response
	for range 2 * fetchesMax { // none reads
		got, err := server.Client().Get(url)
		if err != nil || got.StatusCode != http.StatusOK {
			t.Fatal(got, err)
		}
		defer got.Body.Close()
		last = got
	}
	until(t, "one place is taken", func() bool { return len(r.places) == 1 })
	if n, err := io.Copy(io.Discard, last.Body); err != nil || n != size {
		t.Errorf("of the latest %d bytes came, %v", n, err)
	}
}

// Filling it takes 12 s: without KRAZYCAM_LONG the store's own tests must do for that there are too many.
func TestInventedBoardsFillNoDatabase(t *testing.T) {
	f := newFixture(t)
	o := f.offer(nil)
	r := f.server()
	first := r.Offer(context.Background(), f.a, old("first"), host)
	n, want, logged := 200, 201, 0
	if os.Getenv("KRAZYCAM_LONG") != "" {
		n, want, logged = store.OfferBoardsMax+20, store.OfferBoardsMax, 1
	}
	for i := range n {
		r.Offer(context.Background(), f.a, old(fmt.Sprint(i)), host)
	}
	if c := f.counts(o); c.Offered != want {
		t.Errorf("%d boards, want %d", c.Offered, want)
	}
	if got := strings.Count(f.logged(), "too many boards"); got != logged {
		t.Errorf("logged %d times that there are too many", got)
	}
	if again := r.Offer(context.Background(), f.a, old("first"), host); again == nil || *again != *first {
		t.Error("a board that was there first lost its place")
	}
}
