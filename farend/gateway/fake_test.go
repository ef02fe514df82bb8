package gateway

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/listener"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/sqlite"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// fakeServer is a stream.VideoServer that does as it is told.
type fakeServer struct {
	mu            sync.Mutex
	begin, err    error
	verdict       stream.Verdict
	place         stream.Place
	open          map[string]stream.Grant
	begins, ended int
	grant         stream.Grant // the last
	asker         netip.Addr   // of the last Begin or Captured
	because       string       // of the last End
	during        func()       // called within the next Begin
	hangs         bool         // at the end of a stream, for as long as the caller waits
}

func newFakeServer() *fakeServer {
	return &fakeServer{
		place:   stream.Place{RTPPort: 5004, RTCPPort: 5005, Transport: 5},
		verdict: stream.Verdict{Words: "stream captured"}, open: map[string]stream.Grant{},
	}
}

func (s *fakeServer) Begin(_ context.Context, g stream.Grant) (stream.Place, error) {
	s.mu.Lock()
	during := s.during
	s.during = nil
	s.mu.Unlock()
	if during != nil {
		during()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begins++
	s.grant, s.asker = g, g.Asker
	if s.begin != nil {
		return stream.Place{}, s.begin
	}
	s.open[g.ID] = g
	return s.place, nil
}

func (s *fakeServer) Captured(_ context.Context, id string, asker netip.Addr) (stream.Verdict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asker = asker
	if _, is := s.open[id]; !is {
		return stream.Verdict{}, stream.ErrUnknown
	}
	return s.verdict, s.err
}

func (s *fakeServer) End(ctx context.Context, id, because string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hangs {
		<-ctx.Done()
		return stream.ErrUnreachable
	}
	if _, is := s.open[id]; !is {
		return stream.ErrUnknown
	}
	delete(s.open, id)
	s.ended, s.because = s.ended+1, because
	return nil
}

// set changes a server under its lock.
func (s *fakeServer) set(change func(*fakeServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *fakeServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// fakeServers are Servers in the order of their names; those that are dead or refused are not chosen.
type fakeServers struct {
	mu    sync.Mutex
	names []string
	of    map[string]*fakeServer
	dead  map[string]bool
	err   error // of Choose and ByName
}

func (f *fakeServers) Choose(context.Context, stream.Grant) (string, stream.VideoServer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return "", nil, f.err
	}
	full := stream.ErrUnreachable
	for _, name := range f.names {
		s := f.of[name]
		s.mu.Lock()
		refused := s.begins > 0 && s.begin != nil
		s.mu.Unlock()
		if f.dead[name] {
			continue
		}
		if !refused {
			return name, s, nil
		}
		full = stream.ErrFull
	}
	return "", nil, fmt.Errorf("video servers: %w", full)
}

func (f *fakeServers) ByName(_ context.Context, name string) (stream.VideoServer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch s := f.of[name]; {
	case f.err != nil:
		return nil, f.err
	case s == nil || f.dead[name]:
		return nil, fmt.Errorf("%s: %w", name, stream.ErrUnreachable)
	default:
		return s, nil
	}
}

// shakyStore is a store that can be made to fail.
type shakyStore struct {
	*store.Store
	mu   sync.Mutex
	err  error
	only string // the method that fails; "": all
}

func (s *shakyStore) fail(err error, only string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.only = err, only
}

func (s *shakyStore) fault(method string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil && (s.only == "" || s.only == method) {
		return fmt.Errorf("store: %s: %w", method, s.err)
	}
	return nil
}

func (s *shakyStore) Customers(ctx context.Context) ([]store.Customer, error) {
	if err := s.fault("Customers"); err != nil {
		return nil, err
	}
	return s.Store.Customers(ctx)
}

func (s *shakyStore) CustomerByKey(ctx context.Context, hash string) (store.Customer, error) {
	if err := s.fault("CustomerByKey"); err != nil {
		return store.Customer{}, err
	}
	return s.Store.CustomerByKey(ctx, hash)
}

func (s *shakyStore) SourceByID(ctx context.Context, id wire.ID) (store.Source, error) {
	if err := s.fault("SourceByID"); err != nil {
		return store.Source{}, err
	}
	return s.Store.SourceByID(ctx, id)
}

func (s *shakyStore) AddSource(ctx context.Context, customer int64, l store.SourceLimits, now time.Time,
) (store.Source, error) {
	if err := s.fault("AddSource"); err != nil {
		return store.Source{}, err
	}
	return s.Store.AddSource(ctx, customer, l, now)
}

func (s *shakyStore) BeginStream(ctx context.Context, c store.Stream, camerasMax int, now time.Time) error {
	if err := s.fault("BeginStream"); err != nil {
		return err
	}
	return s.Store.BeginStream(ctx, c, camerasMax, now)
}

func (s *shakyStore) SetPlace(ctx context.Context, id string, p stream.Place) error {
	if err := s.fault("SetPlace"); err != nil {
		return err
	}
	return s.Store.SetPlace(ctx, id, p)
}

func (s *shakyStore) TouchStream(ctx context.Context, id string, now time.Time) error {
	if err := s.fault("TouchStream"); err != nil {
		return err
	}
	return s.Store.TouchStream(ctx, id, now)
}

func (s *shakyStore) EndStream(ctx context.Context, id, because string, now time.Time) error {
	if err := s.fault("EndStream"); err != nil {
		return err
	}
	return s.Store.EndStream(ctx, id, because, now)
}

func (s *shakyStore) EndExpired(ctx context.Context, undisturbed time.Duration, because string, now time.Time,
) ([]store.Stream, error) {
	if err := s.fault("EndExpired"); err != nil {
		return nil, err
	}
	return s.Store.EndExpired(ctx, undisturbed, because, now)
}

func (s *shakyStore) ActiveStreams(ctx context.Context, f store.StreamFilter) ([]store.Stream, error) {
	if err := s.fault("ActiveStreams"); err != nil {
		return nil, err
	}
	return s.Store.ActiveStreams(ctx, f)
}

// Servers is for a videoserver.Cluster on this store.
func (s *shakyStore) Servers(ctx context.Context, since time.Time) ([]store.Server, error) {
	if err := s.fault("Servers"); err != nil {
		return nil, err
	}
	return s.Store.Servers(ctx, since)
}

func (s *shakyStore) Analysis(ctx context.Context, source wire.ID) (store.Analysis, error) {
	if err := s.fault("Analysis"); err != nil {
		return store.Analysis{}, err
	}
	return s.Store.Analysis(ctx, source)
}

// desk is a gateway on a database of its own, with video servers and a clock that the test moves.
type desk struct {
	*Gateway
	t       *testing.T
	store   *shakyStore
	servers *fakeServers
	server  *fakeServer // the first
	key     store.Customer

	mu    sync.Mutex
	clock time.Time
}

// newDesk has one API key, "k", without limits.
func newDesk(t *testing.T, c Config) *desk {
	t.Helper()
	d := newEmptyDesk(t, c)
	d.key = d.addKey("k", store.Customer{Name: "k", Enabled: true, Analyses: []string{"faces"}})
	return d
}

func openStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newEmptyDesk(t *testing.T, c Config) *desk {
	t.Helper()
	return newDeskOn(t, openStore(t), c)
}

func newDeskOn(t *testing.T, kept *store.Store, c Config) *desk {
	t.Helper()
	d := &desk{t: t, server: newFakeServer(), clock: time.Unix(1_800_000_000, 0).UTC()}
	d.store = &shakyStore{Store: kept}
	d.servers = &fakeServers{names: []string{"a"}, of: map[string]*fakeServer{"a": d.server}, dead: map[string]bool{}}
	c.Store, c.Servers = d.store, d.servers
	if c.Now == nil {
		c.Now = d.now
	}
	d.Gateway = New(c)
	return d
}

func (d *desk) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clock
}

func (d *desk) advance(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clock = d.clock.Add(by)
}

func (d *desk) addKey(key string, c store.Customer) store.Customer {
	d.t.Helper()
	c.KeyHash = store.HashKey(key)
	id, err := d.store.AddCustomer(d.t.Context(), c)
	if err != nil {
		d.t.Fatal(err)
	}
	c.ID = id
	return c
}

// changeKey changes the key "k".
func (d *desk) changeKey(change func(*store.Customer)) {
	d.t.Helper()
	change(&d.key)
	_, err := d.store.ChangeCustomer(d.t.Context(), d.key.ID, func(c *store.Customer) error {
		*c = d.key
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// addServer adds a video server after the others.
func (d *desk) addServer(name string) *fakeServer {
	s := newFakeServer()
	d.servers.names = append(d.servers.names, name)
	d.servers.of[name] = s
	return s
}

// send gives status, header and answer.
func (d *desk) send(r *http.Request) (int, http.Header, map[string]any) {
	d.t.Helper()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		d.t.Fatalf("answer %q: %v", w.Body, err)
	}
	return w.Code, w.Header(), answer
}

func newPost(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, "http://desk.example:8080/", strings.NewReader(body))
}

// post gives status and answer. Administrators ask over https.
func (d *desk) post(body string) (int, map[string]any) {
	d.t.Helper()
	r := newPost(body)
	if strings.Contains(body, `"admin"`) {
		r.TLS = &tls.ConnectionState{}
	}
	status, _, answer := d.send(r)
	return status, answer
}

// postFrom posts from an address.
func (d *desk) postFrom(from, body string) (code int, answer map[string]any) {
	d.t.Helper()
	r := newPost(body)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(from), 999).String()
	_, _, answer = d.send(r)
	c, _ := answer["error_code"].(float64)
	return int(c), answer
}

// want posts body and checks error_code, or good for none.
func (d *desk) want(body string, code int) map[string]any {
	d.t.Helper()
	status, answer := d.post(body)
	got, _ := answer["error_code"].(float64)
	wantStatus := 200
	if code != 0 {
		wantStatus = code / 10
	}
	if int(got) != code || status != wantStatus {
		d.t.Errorf("%.120s = %d %v, want error_code %d", body, status, answer, code)
	}
	return answer
}

func (d *desk) newID() string { return d.newIDOf("k") }

func (d *desk) newIDOf(key string) string {
	d.t.Helper()
	id, _ := d.want(fmt.Sprintf(`{"action":"new_utilization_id","key":%q}`, key), 0)["utilization_id"].(string)
	if len(id) < 20 {
		d.t.Errorf("utilization_id %q can be guessed", id)
	}
	return id
}

func startBody(key, id string) string {
	return fmt.Sprintf(`{"action":"start_stream","key":%q,"utilization_id":%q,"width":640,"height":480}`, key, id)
}

func about(action, id string) string {
	return fmt.Sprintf(`{"action":%q,"utilization_id":%q}`, action, id)
}

// source gives the stored source with an id.
func (d *desk) source(id string) store.Source {
	d.t.Helper()
	s, err := d.store.SourceByID(d.t.Context(), wire.TextID(id))
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// disable has a source get no stream any more.
func (d *desk) disable(id string) {
	d.t.Helper()
	_, err := d.store.ChangeSource(d.t.Context(), wire.TextID(id), func(s *store.Source) error {
		s.Enabled = false
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// active lists the streams that run.
func (d *desk) active() []store.Stream {
	d.t.Helper()
	rows, err := d.store.Store.ActiveStreams(d.t.Context(), store.StreamFilter{})
	if err != nil {
		d.t.Fatal(err)
	}
	return rows
}

// lastEnded is the stream that ended last.
func (d *desk) lastEnded() store.Stream {
	d.t.Helper()
	rows, err := d.store.EndedStreams(d.t.Context(), store.StreamFilter{})
	if err != nil || len(rows) == 0 {
		d.t.Fatalf("no stream has ended: %v", err)
	}
	return rows[0]
}

var errDisk = errors.New("disk full")

// newFuzzDesk outlives the test that makes it.
func newFuzzDesk(t *testing.T) *desk {
	t.Helper()
	s, err := sqlite.Open(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	return newDeskOn(t, s, Config{AdminUser: "root", AdminPassword: "secret"})
}

// boundedServer serves a gateway to strangers, as camserver does, and gives its URL.
func boundedServer(t *testing.T, g http.Handler) string {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: g, ReadHeaderTimeout: time.Second, ReadTimeout: 2 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 8 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener.Bound(inner, 256, 32)) }()
	t.Cleanup(func() {
		if err := errors.Join(web.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return "http://" + inner.Addr().String()
}
