package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
)

// A customer asks for all that another has, in many ways: to it, nothing of that exists.
func TestAnothersThingsDoNotExist(t *testing.T) {
	library := newLibrary(t)
	b := newBench(t, func(c *Config) { c.Recordings = library })
	mine, other := b.addCustomer("Mine"), b.addCustomer("Other")
	source, id := b.addStream(other.ID)
	own, ownID := b.addStream(mine.ID)
	name := record(t, library, other.ID, source.ID)
	found := store.Analysis{Source: source.ID, Data: json.RawMessage(`"secret"`)}
	if err := b.store.PutAnalysis(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	b.history.Sample(start)
	before := b.want(200, b.admin, "GET", fmt.Sprint("/customers/", other.ID), "").header.Get("ETag")
	things := []string{
		fmt.Sprint("/customers/", other.ID), fmt.Sprint("/customers/", other.ID, "/key"),
		"/sources/" + source.ID.String(),
		"/sources/" + source.ID.String() + "/analysis", "/sources/" + source.ID.String() + "/recordings",
		"/sources/" + source.ID.String() + "/recordings/" + name, "/streams/" + id, "/streams/" + id + ".csv",
		"/streams/" + id + "/stats", "/streams/" + id + "/keyframe",
		fmt.Sprint("/sources?customer=", other.ID), fmt.Sprint("/streams?customer=", other.ID),
		fmt.Sprint("/streams.csv?customer=", other.ID), fmt.Sprint("/events?customer=", other.ID),
		fmt.Sprint("/streams?state=ended&customer=", other.ID),
		// Its own things with another's names in them.
		"/sources/" + own.ID.String() + "/recordings/" + name,
		"/sources/" + own.ID.String() + "/recordings/..%2F..%2F" + fmt.Sprint(other.ID) + "%2F" + name,
		"/sources/" + strings.ToLower(source.ID.String()), "/sources/%22" + source.ID.String() + "%22",
		"/streams/" + id + "%00", "/streams/" + ownID + ".csv.csv",
	}
	asked := 0
	for _, thing := range things {
		for _, method := range []string{"GET", "HEAD", "DELETE", "PATCH", "POST"} {
			for _, headers := range [][]string{nil, {"If-Match", "*"}, {"If-Match", before},
				{"If-None-Match", before}} {
				body := ""
				if method == "PATCH" || method == "POST" {
					body = `{"name":"x","enabled":false}`
				}
				got := b.ask(mine.Key, method, thing, body, headers...)
				if got.status == 405 { // no such operation, whosever it is
					continue
				}
				if asked++; got.status != 404 || bytes.Contains(got.body, []byte("secret")) {
					t.Errorf("%s %s = %d %s, want 404", method, thing, got.status, got.body)
				}
			}
		}
	}
	for _, list := range []string{"/customers", "/sources", "/streams", "/streams?state=ended", "/streams.csv",
		"/stats", "/events", "/forwardings", "/streams?source=" + source.ID.String(), "/events?stream=" + id} {
		asked++
		got := b.want(200, mine.Key, "GET", list, "")
		if bytes.Contains(got.body, []byte(source.ID.String())) || bytes.Contains(got.body, []byte(id)) ||
			bytes.Contains(got.body, []byte("Other")) {
			t.Errorf("%s shows another's things: %s", list, got.body)
		}
	}
	t.Logf("FIGURE api: %d requests for another's things, each answered as if there were nothing", asked)
	if asked < 200 {
		t.Errorf("%d requests were tried", asked)
	}
	if s, err := b.store.SourceByID(t.Context(), source.ID); err != nil || !s.Enabled || s.Name != "" {
		t.Errorf("the source is now %+v, %v", s, err)
	}
	if s, err := b.store.StreamByID(t.Context(), id); err != nil || !s.Ended.IsZero() || len(b.receiver.keyFrames) > 0 {
		t.Errorf("the stream is now %+v, %v", s, err)
	}
	after := b.want(200, b.admin, "GET", fmt.Sprint("/customers/", other.ID), "").header.Get("ETag")
	if after != before {
		t.Error("the customer was changed")
	}
}

func TestKeysThatMayNotAreRefusedInWords(t *testing.T) {
	b := newBench(t)
	c := b.addCustomer("Farm")
	for _, key := range []string{"", "wrong", c.Key + "x", strings.Repeat("x", 5000)} {
		got := b.want(401, key, "GET", "/me", "")
		if !strings.Contains(string(got.body), "camserver keys") {
			t.Errorf("%.20s: %s: want what makes a key", key, got.body)
		}
	}
	b.problem(401, "no-access", "", "GET", "/me", "", "Authorization", "Basic YTpi")
	b.want(200, "", "GET", "/openapi.json", "")
	path := fmt.Sprint("/customers/", c.ID)
	b.want(200, b.admin, "PATCH", path, `{"enabled":false}`, "If-Match", "*")
	b.problem(403, "disabled", c.Key, "GET", "/me", "")
	b.want(200, b.admin, "PATCH", path, `{"enabled":true,"valid_until":"2026-11-28T12:00:01Z"}`, "If-Match", "*")
	b.want(200, c.Key, "GET", "/me", "")
	b.advance(time.Second)
	b.problem(403, "expired", c.Key, "GET", "/me", "")
	if err := b.store.SetSetting(t.Context(), AdministratorSetting, ""); err != nil {
		t.Fatal(err)
	}
	b.want(401, b.admin, "GET", "/me", "")
}

func TestGuessingIsSlowForTheGuesserAlone(t *testing.T) {
	guesser := netip.MustParseAddr("192.0.2.1")
	from := guesser
	b := newBench(t)
	tokens := NewTokens(b.store, func(*http.Request) netip.Addr { return from }, b.clock)
	c := b.addCustomer("Farm")
	ask := func(key string) error {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		_, err := tokens.Authenticate(r)
		return err
	}
	if err := ask(c.Key); err != nil {
		t.Fatal(err)
	}
	looked, slowed := 0, 0
	for i := range 1000 {
		switch p := problemOf(ask(fmt.Sprint("guess ", i))); p.Status {
		case 401:
			looked++
		case 429:
			if slowed++; p.retryAfter <= 0 {
				t.Fatal("no time to wait is said")
			}
		default:
			t.Fatalf("guess %d: %+v", i, p)
		}
	}
	if looked != guessesFree || slowed != 1000-guessesFree {
		t.Errorf("%d guesses were looked at and %d were not, want %d", looked, slowed, guessesFree)
	}
	if err := ask(c.Key); err != nil {
		t.Errorf("the owner, behind the guesser's router: %v", err)
	}
	if p := problemOf(ask(b.admin)); p.Status != 429 {
		t.Errorf("a key that was never right before, from the guesser's network: %+v, want that it waits", p)
	}
	from = netip.MustParseAddr("192.0.2.2")
	if err := ask(b.admin); err != nil {
		t.Errorf("the owner, elsewhere: %v", err)
	}
	from = guesser
	b.advance(guessPause)
	if p := problemOf(ask("one more")); p.Status != 401 {
		t.Errorf("a minute later: %+v, want that one is looked at", p)
	}
}

// A program that begins asks several things at once, with a key that nobody has seen before.
func TestRightKeyUsesUpNoGuesses(t *testing.T) {
	b := newBench(t)
	tokens := NewTokens(b.store, nil, b.clock)
	c := b.addCustomer("Farm")
	ask := func(key string) error {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = "192.0.2.1:1"
		r.Header.Set("Authorization", "Bearer "+key)
		_, err := tokens.Authenticate(r)
		return err
	}
	var asking sync.WaitGroup
	for range guessesFree {
		asking.Go(func() {
			if err := ask(c.Key); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	if used := tokens.guesses.of[netip.MustParsePrefix("192.0.2.1/32")].used; used != 0 {
		t.Errorf("right keys used up %v guesses", used)
	}
	for i := range guessesFree { // and what was not counted is not given back
		if p := problemOf(ask(fmt.Sprint("guess ", i))); p.Status != 401 {
			t.Errorf("guess %d: %+v", i, p)
		}
		if err := ask(c.Key); err != nil {
			t.Error(err)
		}
	}
	if p := problemOf(ask("one more")); p.Status != 429 {
		t.Errorf("one more guess: %+v, want that it waits", p)
	}
}

func TestGuessersWithoutEndShareOnePlace(t *testing.T) {
	var g guesses
	for i := range networksMax + 5000 {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		for range 2 {
			g.begin(from, fmt.Sprint(i), start)
		}
	}
	if len(g.of) > networksMax {
		t.Errorf("%d networks are told apart, want at most %d", len(g.of), networksMax)
	}
	for i := range knownMax + 100 {
		g.right(fmt.Sprint(i))
	}
	if len(g.known) > knownMax {
		t.Errorf("%d keys are known, want at most %d", len(g.known), knownMax)
	}
}

func FuzzBody(f *testing.F) {
	for _, one := range []string{`{"name":"x"}`, `{"valid_until":null,"analyses":["a"]}`, `{"cameras_max":1e3}`, `[`,
		`{"":{}}`} {
		f.Add(one)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, _ := http.NewRequest("POST", "/", strings.NewReader(text))
		r.Header.Set("Content-Type", "application/json")
		c := store.Customer{Name: "before"}
		if err := readBody(nil, r, customerFields(&c)); err != nil {
			if p := problemOf(err); p.Status < 400 || p.Status > 499 {
				t.Errorf("%q is answered with %d: %v", text, p.Status, err)
			}
			return
		}
		if c.Name == "" || c.CamerasMax < 0 || len(c.Analyses) > store.AnalysesMax || c.RecordAge < -time.Second {
			t.Errorf("%q was taken as %+v", text, c)
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("after=eA&source=%235&limit=3&since=2027-01-31T00:00:00Z&customer=7")
	f.Add("after=%21&x")
	f.Fuzz(func(t *testing.T, text string) {
		q := queryOf(&http.Request{URL: &url.URL{RawQuery: text}}, "after", "source", "limit", "since", "customer")
		limit, _, _, _ := q.limit(), q.cursor(), q.source("source"), q.moment("since")
		customer, ok := q.customer(Caller{Customer: 7})
		if q.err == nil && (limit < 1 || limit > limitMax || ok && customer != 7) {
			t.Errorf("%q: limit %d, customer %d", text, limit, customer)
		}
	})
}
