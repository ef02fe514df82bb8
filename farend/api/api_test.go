package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/forward"
	"github.com/krazycam/krazycam/farend/history"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/sqlite"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

var start = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// A fakeReceiver has streams by id, and the requests for key frames.
type fakeReceiver struct {
	mu        sync.Mutex
	running   []stream.Named
	keyFrames []string
	ended     []string // ID and because
}

func (f *fakeReceiver) AllStats(to []stream.Named) []stream.Named {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append(to, f.running...)
}

func (f *fakeReceiver) Stats(id string) (stream.Stats, bool) {
	for _, one := range f.AllStats(nil) {
		if one.ID == id {
			return one.Stats, true
		}
	}
	return stream.Stats{}, false
}

func (f *fakeReceiver) RequestKeyFrame(id string) error {
	if _, ok := f.Stats(id); !ok {
		return stream.ErrUnknown
	}
	f.keyFrames = append(f.keyFrames, id)
	return nil
}

// ByName knows one server: this one.
func (f *fakeReceiver) ByName(_ context.Context, name string) (stream.VideoServer, error) {
	if name != "here" {
		return nil, stream.ErrUnreachable
	}
	return f, nil
}

func (f *fakeReceiver) Begin(context.Context, stream.Grant) (stream.Place, error) {
	return stream.Place{}, errors.ErrUnsupported
}

func (f *fakeReceiver) Captured(context.Context, string, netip.Addr) (stream.Verdict, error) {
	return stream.Verdict{}, errors.ErrUnsupported
}

func (f *fakeReceiver) End(_ context.Context, id, because string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = append(f.ended, id+" "+because)
	return nil
}

// A bench is an API over HTTP with a database of its own.
type bench struct {
	t        *testing.T
	store    *store.Store
	receiver *fakeReceiver
	history  *history.History
	server   *httptest.Server
	contract *contract
	admin    string
	now      time.Time
	nowMu    sync.Mutex
}

func (b *bench) clock() time.Time {
	b.nowMu.Lock()
	defer b.nowMu.Unlock()
	return b.now
}

func (b *bench) advance(d time.Duration) {
	b.nowMu.Lock()
	defer b.nowMu.Unlock()
	b.now = b.now.Add(d)
}

func newBench(t *testing.T, change ...func(*Config)) *bench {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b := &bench{t: t, store: s, receiver: &fakeReceiver{}, contract: readContract(t), admin: NewToken(), now: start}
	b.history = history.New(b.receiver)
	if err := s.SetSetting(t.Context(), AdministratorSetting, store.HashKey(b.admin)); err != nil {
		t.Fatal(err)
	}
	c := Config{
		Store: s, Live: b.receiver, History: b.history, Server: "here", Now: b.clock,
		Authenticate: NewTokens(s, nil, b.clock).Authenticate,
		Servers:      b.receiver,
		Forwardings: func() []forward.State {
			return []forward.State{
				{Stream: "a", Customer: 1, Source: wire.TextID("x"), Kind: "rtp",
					Target: "10.0.0.1:5004", State: "sending"},
				{Stream: "b", Customer: 2, Source: wire.TextID("y"), Kind: "whip", State: "failing",
					Error: "secret path"},
			}
		},
	}
	for _, f := range change {
		f(&c)
	}
	a := New(c)
	b.contract.routes = a.routes()
	b.server = httptest.NewServer(a)
	t.Cleanup(b.server.Close)
	return b
}

// A reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// into reads the body.
func (r reply) into(t *testing.T, to any) {
	t.Helper()
	if err := json.Unmarshal(r.body, to); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
}

// ask sends a request with a key and checks the answer against openapi.json. headers are name, value, …
func (b *bench) ask(key, method, path, body string, headers ...string) reply {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+Prefix+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.contract.check(b.t, r, got, text)
	return reply{got.StatusCode, got.Header, text}
}

// want asks and wants a status.
func (b *bench) want(status int, key, method, path, body string, headers ...string) reply {
	b.t.Helper()
	got := b.ask(key, method, path, body, headers...)
	if got.status != status {
		b.t.Errorf("%s %s %s = %d %s, want %d", method, path, body, got.status, got.body, status)
	}
	return got
}

// problem asks and wants a refusal with a code.
func (b *bench) problem(status int, code, key, method, path, body string, headers ...string) Problem {
	b.t.Helper()
	var p Problem
	b.want(status, key, method, path, body, headers...).into(b.t, &p)
	if p.Code != code || p.Status != status {
		b.t.Errorf("%s %s %s: %+v, want code %s", method, path, body, p, code)
	}
	return p
}

// addCustomer adds one by the API.
func (b *bench) addCustomer(name string) Customer {
	b.t.Helper()
	var c Customer
	b.want(201, b.admin, "POST", "/customers", fmt.Sprintf(`{"name":%q,"cameras_max":5}`, name)).into(b.t, &c)
	return c
}

// addStream gives a customer a source with a stream that runs here.
func (b *bench) addStream(customer int64) (store.Source, string) {
	b.t.Helper()
	ctx := b.t.Context()
	source, err := b.store.AddSource(ctx, customer, store.SourceLimits{Max: 1000}, b.clock())
	if err != nil {
		b.t.Fatal(err)
	}
	id := strings.ToLower("s" + source.ID.String()[:12])
	s := store.Stream{ID: id, Source: source.ID, Customer: customer, Server: "here", Width: 640, Height: 480,
		Asker: netip.MustParseAddr("192.0.2.1")}
	if err := b.store.BeginStream(ctx, s, 0, b.clock()); err != nil {
		b.t.Fatal(err)
	}
	b.receiver.mu.Lock()
	defer b.receiver.mu.Unlock()
	b.receiver.running = append(b.receiver.running, stream.Named{ID: id, Customer: customer, Source: source.ID,
		Stats: stream.Stats{State: stream.StateStreaming, Begun: start, FPS: 30, Packets: 100,
			Records: []string{"/secret/path.webm"}, Problem: "secret host", DelayBy: stream.DelayByClock}})
	return source, id
}

func TestCustomerIsAddedChangedAndRemoved(t *testing.T) {
	b := newBench(t)
	added := b.want(201, b.admin, "POST", "/customers",
		`{"name":"Farm","cameras_max":3,"analyses":["faces","motion","faces"],"valid_until":"2027-01-01T00:00:00Z",`+
			`"record_bytes":-1,"record_age_s":3600}`)
	var c Customer
	added.into(t, &c)
	if c.Key == "" || c.CamerasMax != 3 || len(c.Analyses) != 2 || c.RecordAgeS != 3600 || !c.Enabled ||
		!c.ValidUntil.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("added %+v", c)
	}
	path := added.header.Get("Location")[len(Prefix):]
	got := b.want(200, b.admin, "GET", path, "")
	if bytes.Contains(got.body, []byte("key")) || got.header.Get("ETag") != added.header.Get("ETag") {
		t.Errorf("what is read shows a key or has another ETag: %s %v", got.body, got.header)
	}
	kept, err := b.store.CustomerByKey(t.Context(), store.HashKey(c.Key))
	if err != nil || kept.ID != c.ID {
		t.Errorf("the key's hash leads to %+v, %v", kept, err)
	}
	tag := got.header.Get("ETag")
	b.want(304, b.admin, "GET", path, "", "If-None-Match", tag)
	b.problem(428, "if-match-missing", b.admin, "PATCH", path, `{"enabled":false}`)
	changed := b.want(200, b.admin, "PATCH", path, `{"enabled":false,"valid_until":null}`, "If-Match", tag)
	changed.into(t, &c)
	if c.Enabled || c.ValidUntil != nil || c.Name != "Farm" || c.CamerasMax != 3 {
		t.Errorf("changed %+v: want what was said, and no more", c)
	}
	b.problem(412, "changed", b.admin, "PATCH", path, `{"name":"Other"}`, "If-Match", tag)
	b.problem(412, "changed", b.admin, "DELETE", path, "", "If-Match", tag)
	b.problem(412, "changed", b.admin, "POST", path+"/key", "", "If-Match", tag)
	renewed := b.want(200, b.admin, "POST", path+"/key", "", "If-Match", changed.header.Get("ETag"))
	var again Customer
	renewed.into(t, &again)
	if again.Key == "" || again.Key == c.Key || renewed.header.Get("ETag") == changed.header.Get("ETag") {
		t.Errorf("renewed %+v", again)
	}
	b.problem(401, "wrong-key", c.Key, "GET", "/me", "")
	b.want(204, b.admin, "DELETE", path, "", "If-Match", "*")
	b.problem(404, "not-found", b.admin, "GET", path, "")
	var events page[event]
	b.want(200, b.admin, "GET", "/events", "").into(t, &events)
	var kinds []string
	for _, e := range events.Items {
		kinds = append(kinds, e.Kind)
	}
	if got := strings.Join(kinds, ", "); got != "customer removed, key renewed, customer changed, customer added" {
		t.Errorf("events: %s", got)
	}
}

func TestWhatIsSentIsCheckedByName(t *testing.T) {
	b := newBench(t)
	b.addCustomer("Farm")
	for _, c := range []struct {
		body, field, code string
	}{
		{`{"name":"x","camera_max":1}`, "camera_max", "unknown-field"},
		{`{"name":"x","name":"y"}`, "name", "unknown-field"},
		{`{"name":""}`, "name", "bad-value"},
		{`{}`, "name", "bad-value"},
		{`{"name":5}`, "name", "bad-value"},
		{`{"name":null}`, "name", "bad-value"},
		{`{"name":"a\nb"}`, "name", "bad-value"},
		{`{"name":"` + strings.Repeat("x", 101) + `"}`, "name", "bad-value"},
		{`{"name":"x","cameras_max":-1}`, "cameras_max", "bad-value"},
		{`{"name":"x","cameras_max":1.5}`, "cameras_max", "bad-value"},
		{`{"name":"x","cameras_max":"1"}`, "cameras_max", "bad-value"},
		{`{"name":"x","cameras_max":null}`, "cameras_max", "bad-value"},
		{`{"name":"x","enabled":1}`, "enabled", "bad-value"},
		{`{"name":"x","enabled":null}`, "enabled", "bad-value"},
		{`{"name":"x","valid_until":"tomorrow"}`, "valid_until", "bad-value"},
		{`{"name":"x","analyses":"faces"}`, "analyses", "bad-value"},
		{`{"name":"x","analyses":["a b"]}`, "analyses", "bad-value"},
		{`{"name":"x","analyses":null}`, "analyses", "bad-value"},
		{`{"name":"x","record_age_s":-2}`, "record_age_s", "bad-value"},
		{`{"name":"x","record_bytes":1e30}`, "record_bytes", "bad-value"},
		{`[]`, "", "bad-json"}, {`"x"`, "", "bad-json"}, {`{"name":"x"`, "", "bad-json"}, {`{"name":}`, "", "bad-json"},
		{`{"name":"x"} {}`, "", "bad-json"}, {`nonsense`, "", "bad-json"}, {` `, "", "bad-json"},
	} {
		p := b.problem(400, c.code, b.admin, "POST", "/customers", c.body)
		if p.Field != c.field {
			t.Errorf("%s: %+v, want field %q", c.body, p, c.field)
		}
	}
	if p := b.problem(409, "exists", b.admin, "POST", "/customers", `{"name":"Farm"}`); p.Field != "name" {
		t.Errorf("a name that is taken: %+v", p)
	}
	b.problem(415, "media-type", b.admin, "POST", "/customers", `{"name":"x"}`, "Content-Type", "text/plain")
	b.problem(415, "media-type", b.admin, "POST", "/customers", `{"name":"x"}`, "Content-Type",
		"application/x-www-form-urlencoded")
	long := `{"name":"x","analyses":["` + strings.Repeat("x", bodyMax) + `"]}`
	b.problem(413, "too-long", b.admin, "POST", "/customers", long)
	var all page[Customer]
	b.want(200, b.admin, "GET", "/customers", "").into(t, &all)
	if len(all.Items) != 1 {
		t.Errorf("after all that there are %d customers, want the first alone", len(all.Items))
	}
}

func TestQueriesAreCheckedByName(t *testing.T) {
	b := newBench(t)
	for path, field := range map[string]string{
		"/customers?limt=5": "limt", "/customers?limit=0": "limit", "/customers?limit=1001": "limit",
		"/customers?limit=a": "limit", "/customers?limit=1&limit=2": "limit", "/customers?after=%21": "after",
		"/customers?after=eA": "after", "/sources?after=eA": "after", "/streams?after=eA": "after",
		"/streams?state=over": "state", "/events?since=today": "since", "/events?after=eA": "after",
		"/sources?customer=x": "customer", "/stats?x=1": "x", "/servers?x": "x", "/forwardings?x=1": "x",
		"/offers?x=1": "x", "/streams.csv?x=1": "x", "/events?after=LTE": "after",
	} {
		var p Problem
		b.want(400, b.admin, "GET", path, "").into(t, &p)
		if p.Field != field {
			t.Errorf("%s: %+v, want field %s", path, p, field)
		}
	}
	b.problem(400, "bad-query", b.admin, "GET", "/customers?%zz", "")
}

func TestListsComeInParts(t *testing.T) {
	b := newBench(t)
	for i := range 5 {
		c := b.addCustomer(fmt.Sprint("c", i))
		for range 3 {
			b.addStream(c.ID)
			b.advance(time.Second)
		}
	}
	streams, err := b.store.ActiveStreams(t.Context(), store.StreamFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range streams[:7] { // two ended at one time
		if err := b.store.EndStream(t.Context(), s.ID, "test", start.Add(time.Duration(i/2)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]int{
		"/customers?": 5, "/sources?": 15, "/streams?": 8, "/streams?state=ended&": 7, "/events?": 5,
		"/sources?customer=2&": 3, "/streams?customer=5&state=running&": 3,
		"/streams?server=there&": 0, "/events?kind=none&": 0,
		"/events?since=2027-01-01T00:00:00Z&": 0,
	} {
		for _, limit := range []int{1, 2, 7, 15, 1000} {
			seen, next := map[string]bool{}, ""
			for parts := 0; ; parts++ {
				var p page[map[string]any]
				b.want(200, b.admin, "GET", fmt.Sprintf("%slimit=%d&after=%s", path, limit, next), "").into(t, &p)
				for _, item := range p.Items {
					seen[fmt.Sprint(item["id"])] = true
				}
				if next = p.Next; next == "" || parts > want {
					break
				}
				if len(p.Items) != limit {
					t.Errorf("%s in parts of %d has one of %d", path, limit, len(p.Items))
				}
			}
			if len(seen) != want {
				t.Errorf("%s in parts of %d: %d items, want %d", path, limit, len(seen), want)
			}
		}
	}
}

func TestSourceIsNamedAndSwitchedByItsCustomer(t *testing.T) {
	b := newBench(t)
	c := b.addCustomer("Farm")
	source, id := b.addStream(c.ID)
	board := wire.Board{Serial: "123", Model: "Pi"}
	if err := b.store.SetBoard(t.Context(), source.ID, board, start); err != nil {
		t.Fatal(err)
	}
	path := "/sources/" + source.ID.String()
	got := b.want(200, c.Key, "GET", path, "")
	var s Source
	got.into(t, &s)
	if s.Stream == nil || *s.Stream != id || s.Board.Serial != "123" || s.BoardAt == nil {
		t.Errorf("source %s, want its stream %s and board", got.body, id)
	}
	tag := got.header.Get("ETag")
	b.want(200, c.Key, "PATCH", path, `{"name":"Stable"}`, "If-Match", tag,
		"Content-Type", "application/merge-patch+json").into(t, &s)
	if s.Name != "Stable" || !s.Enabled {
		t.Errorf("named %+v", s)
	}
	b.problem(412, "changed", b.admin, "PATCH", path, `{"enabled":false}`, "If-Match", tag)
	b.want(200, b.admin, "PATCH", path, `{"enabled":false}`, "If-Match", sourceTag(store.Source{ID: source.ID,
		Name: "Stable", Enabled: true})).into(t, &s)
	b.problem(400, "unknown-field", c.Key, "PATCH", path, `{"customer":2}`, "If-Match", "*")
	if s.Enabled {
		t.Error("it is not switched off")
	}
	if err := b.store.SetBoard(t.Context(), source.ID, wire.Board{UptimeS: 5}, start); err != nil {
		t.Fatal(err)
	}
	off := sourceTag(store.Source{ID: source.ID, Name: "Stable"})
	b.want(200, c.Key, "PATCH", path, `{"name":""}`, "If-Match", off) // the board's own words change no ETag
	b.problem(404, "not-analysed", c.Key, "GET", path+"/analysis", "")
	found := store.Analysis{Source: source.ID, At: start, Data: json.RawMessage(`[{"label":"face"}]`), PerSecond: 5,
		Delay: 50 * time.Millisecond}
	if err := b.store.PutAnalysis(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	if got := b.want(200, c.Key, "GET", path+"/analysis", ""); !bytes.Contains(got.body, []byte(`"delay_ms":50`)) {
		t.Errorf("analysis %s", got.body)
	}
	b.problem(404, "not-found", b.admin, "GET", "/sources/none", "")
	b.problem(404, "not-found", b.admin, "GET", "/sources/%235", "")
}

func TestStreamIsShownAskedAndStopped(t *testing.T) {
	b := newBench(t)
	c := b.addCustomer("Farm")
	source, id := b.addStream(c.ID)
	var s Stream
	b.want(200, b.admin, "GET", "/streams/"+id, "").into(t, &s)
	if s.Source != source.ID || s.Stats == nil || s.Stats.FPS != 30 || len(s.Stats.Records) != 1 || s.Ended != nil {
		t.Errorf("stream %+v, want it with the statistics of now", s)
	}
	for _, path := range []string{"/streams/" + id, "/streams", "/streams/" + id + "/stats", "/stats"} {
		if got := b.want(200, c.Key, "GET", path, ""); bytes.Contains(got.body, []byte("secret")) ||
			!bytes.Contains(got.body, []byte(`"fps":30`)) {
			t.Errorf("%s shows a customer %s, want statistics without paths and hosts", path, got.body)
		}
	}
	b.want(204, c.Key, "POST", "/streams/"+id+"/keyframe", "")
	if len(b.receiver.keyFrames) != 1 || b.receiver.keyFrames[0] != id {
		t.Errorf("key frames requested of %v, want %s", b.receiver.keyFrames, id)
	}
	b.want(204, c.Key, "DELETE", "/streams/"+id, "")
	if got := strings.Join(b.receiver.ended, ", "); got != id+" stopped by its customer" {
		t.Errorf("ended at the video server: %s", got)
	}
	b.problem(409, "ended", c.Key, "DELETE", "/streams/"+id, "")
	b.problem(409, "ended", c.Key, "POST", "/streams/"+id+"/keyframe", "")
	b.problem(409, "ended", c.Key, "GET", "/streams/"+id+"/stats", "")
	b.want(200, b.admin, "GET", "/streams/"+id, "").into(t, &s)
	if s.Ended == nil || s.Because != "stopped by its customer" {
		t.Errorf("stopped: %+v", s)
	}
	b.problem(404, "not-found", b.admin, "GET", "/streams/none", "")
	elsewhere := store.Stream{ID: "there", Source: source.ID, Customer: c.ID, Server: "other"}
	if err := b.store.BeginStream(t.Context(), elsewhere, 0, start); err != nil {
		t.Fatal(err)
	}
	p := b.problem(409, "elsewhere", c.Key, "POST", "/streams/there/keyframe", "")
	if !strings.Contains(p.Detail, `"other"`) {
		t.Errorf("%s: want the server's name", p.Detail)
	}
}

func TestSystemIsTheAdministratorsAlone(t *testing.T) {
	b := newBench(t)
	c := b.addCustomer("Farm")
	if err := b.store.Heartbeat(t.Context(), store.Server{Name: "here", Control: "http://secret", Secret: "secret",
		Version: "v1", Capacity: 10, Streams: 2, SeenAt: start}); err != nil {
		t.Fatal(err)
	}
	o := store.Offer{Version: "v2", Board: "rpi", Share: .5, Made: start}
	if _, err := b.store.AddOffer(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/servers", "/offers"} {
		if got := b.want(200, b.admin, "GET", path, ""); bytes.Contains(got.body, []byte("secret")) ||
			!bytes.Contains(got.body, []byte(`"version":"v`)) {
			t.Errorf("%s: %s", path, got.body)
		}
		b.problem(403, "administrator-only", c.Key, "GET", path, "")
	}
	own := fmt.Sprint("/customers/", c.ID)
	b.problem(403, "administrator-only", c.Key, "POST", "/customers", `{"name":"x"}`)
	b.problem(403, "administrator-only", c.Key, "PATCH", own, `{"cameras_max":9}`, "If-Match", "*")
	b.problem(403, "administrator-only", c.Key, "DELETE", own, "", "If-Match", "*")
	b.problem(403, "administrator-only", c.Key, "POST", own+"/key", "", "If-Match", "*")
	if got := b.want(200, c.Key, "GET", "/forwardings", ""); bytes.Contains(got.body, []byte("10.0.0.1")) ||
		bytes.Count(got.body, []byte(`"kind"`)) != 1 {
		t.Errorf("forwardings of a customer: %s, want its own, without the target", got.body)
	}
	if got := b.want(200, b.admin, "GET", "/forwardings", ""); bytes.Count(got.body, []byte(`"kind"`)) != 2 {
		t.Errorf("forwardings: %s, want both", got.body)
	}
	if got := b.want(200, c.Key, "GET", "/me", ""); !bytes.Contains(got.body, []byte(`"Farm"`)) {
		t.Errorf("me: %s", got.body)
	}
	if got := b.want(200, b.admin, "GET", "/me", ""); !bytes.Contains(got.body, []byte(`"administrator":true`)) {
		t.Errorf("me: %s", got.body)
	}
}

func TestCustomerWithStreamsIsNotRemoved(t *testing.T) {
	b := newBench(t)
	c := b.addCustomer("Farm")
	b.addStream(c.ID)
	b.problem(409, "active", b.admin, "DELETE", fmt.Sprint("/customers/", c.ID), "", "If-Match", "*")
}

func TestTwoAdministratorsDoNotOverwriteEachOther(t *testing.T) {
	b := newBench(t)
	c := b.addCustomer("Farm")
	path := fmt.Sprint("/customers/", c.ID)
	const each = 10
	var wait sync.WaitGroup
	for range 4 { // each raises the limit by one, ten times
		wait.Go(func() {
			for done := 0; done < each; {
				got := b.want(200, b.admin, "GET", path, "")
				var now Customer
				got.into(t, &now)
				changed := b.ask(b.admin, "PATCH", path, fmt.Sprintf(`{"cameras_max":%d}`, now.CamerasMax+1),
					"If-Match", got.header.Get("ETag"))
				switch changed.status {
				case 200:
					done++
				case 412:
				default:
					t.Errorf("change: %d %s", changed.status, changed.body)
					return
				}
			}
		})
	}
	wait.Wait()
	now, err := b.store.CustomerByID(t.Context(), c.ID)
	if err != nil || now.CamerasMax != 5+4*each {
		t.Errorf("cameras_max is %d, %v, want %d: a change was lost", now.CamerasMax, err, 5+4*each)
	}
}

func TestDatabaseThatIsGoneIsSaidAndRetried(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.Authenticate = func(*http.Request) (Caller, error) { return Caller{Administrator: true}, nil }
	})
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/customers", "/sources", "/streams", "/events", "/streams/x", "/streams.csv"} {
		got := b.ask("", "GET", path, "")
		if got.status != 503 && got.status != 500 || bytes.Contains(got.body, []byte("sql")) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	b.want(200, "", "GET", "/stats", "")
}

func TestNoRouteAndWrongMethodAreProblems(t *testing.T) {
	b := newBench(t)
	for path, allow := range map[string]string{"/customers": "GET, POST", "/streams/x/keyframe": "POST", "/me": "GET"} {
		got := b.want(405, b.admin, "PUT", path, "")
		if got.header.Get("Allow") != allow || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("PUT %s: %v, want Allow: %s", path, got.header, allow)
		}
	}
	for _, path := range []string{"/none", "/customers/1/none", "/", "/streams/a/b/c"} {
		b.problem(404, "no-route", b.admin, "GET", path, "")
	}
}

func TestErrorsOfOursAreNotShown(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.Authenticate = func(*http.Request) (Caller, error) { return Caller{}, errors.New("secret address") }
	})
	if p := b.problem(500, "defect", "", "GET", "/me", ""); strings.Contains(p.Detail, "secret") {
		t.Errorf("%s shows what only the log may say", p.Detail)
	}
}

// A stream whose server is gone is over all the same.
func TestStreamOfADeadServerIsStopped(t *testing.T) {
	b := newBench(t)
	c := b.addCustomer("Farm")
	source, id := b.addStream(c.ID)
	if err := b.store.EndStream(t.Context(), id, "test", start); err != nil {
		t.Fatal(err)
	}
	there := store.Stream{ID: "there", Source: source.ID, Customer: c.ID, Server: "gone"}
	if err := b.store.BeginStream(t.Context(), there, 0, start); err != nil {
		t.Fatal(err)
	}
	b.want(204, b.admin, "DELETE", "/streams/there", "")
	if s, err := b.store.StreamByID(t.Context(), "there"); err != nil || s.Because != "stopped by an administrator" {
		t.Errorf("%+v, %v", s, err)
	}
}
