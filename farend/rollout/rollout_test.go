package rollout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const key = "0123456789abcdef0123456789abcdef"

func v2() Update { return Update{Version: "v2", Board: "rpi", Index: 200} }

func newRollout(t *testing.T, c Config) *Rollout {
	t.Helper()
	if c.Version == "" {
		c.Update = v2()
	}
	if c.Share == 0 {
		c.Share = 1
	}
	if c.Clock == nil {
		c.Clock = func() time.Time { return time.Unix(1_800_000_000, 0) }
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func old(serial string) wire.Board {
	return wire.Board{Serial: serial, Board: "rpi", Version: "v1", Index: 100}
}

func TestUpdateIsOfferedToOlderBoardsOfItsKind(t *testing.T) {
	boardOf := func(model string) string { return map[string]string{"Raspberry Pi 4": "rpi"}[model] }
	for _, c := range []struct {
		name string
		b    wire.Board
		want bool
	}{
		{"an older one", old("s"), true},
		{"one that does not say how old it is", wire.Board{Serial: "s", Board: "rpi", Version: "v1"}, true},
		{"one that says its model only", wire.Board{Serial: "s", Model: "Raspberry Pi 4", Version: "v1"}, true},
		{"an unknown model", wire.Board{Serial: "s", Model: "Banana", Version: "v1"}, false},
		{"another kind of board", wire.Board{Serial: "s", Board: "bbb", Version: "v1"}, false},
		{"one that runs it", wire.Board{Serial: "s", Board: "rpi", Version: "v2", Index: 200}, false},
		{"one that runs it and does not say how old that is",
			wire.Board{Serial: "s", Board: "rpi", Version: "v2"}, false},
		{"an older one of the same name", wire.Board{Serial: "s", Board: "rpi", Version: "v2", Index: 150}, true},
		{"a newer one", wire.Board{Serial: "s", Board: "rpi", Version: "v3", Index: 300}, false},
		{"one as old", wire.Board{Serial: "s", Board: "rpi", Version: "x", Index: 200}, false},
		{"one that tries another version", wire.Board{Serial: "s", Board: "rpi", Version: "v1.5", Trial: true}, false},
		{"one on which it failed", wire.Board{Serial: "s", Board: "rpi", Version: "v1", FailedVersion: "v2"}, false},
		{"one on which this build failed",
			wire.Board{Serial: "s", Board: "rpi", Version: "v1", FailedVersion: "v2", FailedIndex: 200}, false},
		{"one on which an older build of the same name failed",
			wire.Board{Serial: "s", Board: "rpi", Version: "v1", FailedVersion: "v2", FailedIndex: 150}, true},
		{"one on which another version failed",
			wire.Board{Serial: "s", Board: "rpi", Version: "v1", FailedVersion: "v1.9"}, true},
		{"one without a serial number", wire.Board{Board: "rpi", Version: "v1"}, false},
		{"a PC", wire.Board{}, false},
	} {
		if got := newRollout(t, Config{BoardOf: boardOf}).Consider(key, c.b) != ""; got != c.want {
			t.Errorf("%s: offered %v, want %v", c.name, got, c.want)
		}
	}
}

// The life of a good update, and of a bad one, as a board tells it.
func TestBoardsGoThroughThePhases(t *testing.T) {
	r := newRollout(t, Config{})
	var phases []Phase
	step := func(b wire.Board) string {
		token := r.Consider(key, b)
		phases = append(phases, r.Boards()[0].Phase)
		return token
	}
	trial := wire.Board{Serial: "s", Board: "rpi", Version: "v2", Index: 200, Trial: true}
	good := wire.Board{Serial: "s", Board: "rpi", Version: "v2", Index: 200}
	token := step(old("s"))
	r.noteFetch(token, 500)
	if again := step(old("s")); again != token {
		t.Errorf("token %q, then %q: a fetch could not go on", token, again)
	}
	step(trial)
	step(old("s")) // the gateway was out meanwhile
	step(trial)
	step(good)
	want := []Phase{Offered, Fetching, OnTrial, NotJudged, OnTrial, Promoted}
	if diff := cmp.Diff(want, phases); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	bad := newRollout(t, Config{})
	token = bad.Consider(key, old("s"))
	bad.noteFetch(token, 500)
	bad.Consider(key, trial)
	failed := old("s")
	failed.FailedVersion, failed.FailedBecause = "v2", "no picture"
	if bad.Consider(key, failed) != "" || bad.Consider(key, old("s")) != "" {
		t.Error("offered again to a board on which it failed")
	}
	got := bad.Boards()[0]
	if got.Phase != FellBack || got.Because != "no picture" || got.Bytes != 500 || got.Token != "" {
		t.Errorf("%+v", got)
	}
	if bad.mayFetch(token) {
		t.Error("a board on which it failed may still fetch it")
	}
}

func TestShareIsTheSameBoardsEachTimeAndGrows(t *testing.T) {
	serials := func(share float64) map[string]bool {
		chosen := map[string]bool{}
		r := newRollout(t, Config{Share: share})
		for i := range 2000 {
			if s := fmt.Sprintf("10000000%08x", i*7919); r.Consider(key, old(s)) != "" {
				chosen[s] = true
			}
		}
		return chosen
	}
	few, again, more := serials(0.05), serials(0.05), serials(0.2)
	if diff := cmp.Diff(few, again); diff != "" {
		t.Errorf("another choice at the second time:\n%s", diff)
	}
	// 2000 boards at 5 %: 100, with a standard deviation of 10.
	if len(few) < 60 || len(few) > 140 {
		t.Errorf("%d of 2000 boards, want about 100", len(few))
	}
	for s := range few {
		if !more[s] {
			t.Errorf("%s was chosen at 5 %% and not at 20 %%", s)
		}
	}
}

func TestOffersEndAfterSomeBoardsFellBack(t *testing.T) {
	var log bytes.Buffer
	r := newRollout(t, Config{StopAfter: 3, Log: slog.New(slog.NewTextHandler(&log, nil))})
	token := r.Consider(key, old("good"))
	for i := range 3 {
		if r.Counts().Stopped || r.Consider(key, old("late")) == "" || !r.mayFetch(token) {
			t.Fatalf("stopped after %d", i)
		}
		b := old(fmt.Sprint("bad", i))
		r.Consider(key, b)
		b.FailedVersion = "v2"
		for range 3 { // a board says it every minute
			r.Consider(key, b)
		}
	}
	if r.Consider(key, old("late")) != "" || r.Consider(key, old("new")) != "" || r.mayFetch(token) ||
		r.noteFetch(token, 1) {
		t.Error("offered or served after three boards fell back")
	}
	if c := r.Counts(); c.FellBack != 3 || !c.Stopped || !strings.HasSuffix(c.String(), "fell back 3: stopped") {
		t.Errorf("%+v: %s", c, c)
	}
	if got := strings.Count(log.String(), "nobody is offered it any more"); got != 1 {
		t.Errorf("the stop was logged %d times:\n%s", got, &log)
	}
}

func TestRolloutGoesOnAfterARestart(t *testing.T) {
	c := Config{StopAfter: 2, Path: filepath.Join(t.TempDir(), "rollout.json")}
	r := newRollout(t, c)
	token := r.Consider(key, old("s1"))
	r.noteFetch(token, 77)
	bad := old("s2")
	bad.FailedVersion, bad.FailedBecause = "v2", "kernel panic"
	r.Consider(key, bad)
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	again := newRollout(t, c)
	if diff := cmp.Diff(r.snapshot(), again.snapshot()); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
	if again.Consider(key, old("s1")) != token || !again.mayFetch(token) {
		t.Error("a fetch cannot go on after a restart")
	}
	if again.Consider(key, old("s2")) != "" {
		t.Error("offered again to a board on which it failed, after a restart")
	}
	bad.Serial = "s3"
	again.Consider(key, bad)
	if !again.Counts().Stopped {
		t.Errorf("%+v, want stopped: one fell back before the restart", again.Counts())
	}
	c.Update = Update{Version: "v3", Board: "rpi", Index: 300}
	if next := newRollout(t, c); len(next.Boards()) != 0 || next.Consider(key, bad) == "" {
		t.Errorf("the next update begins with %+v", next.Boards())
	}
}

func TestSaveWritesChangesOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rollout.json")
	r := newRollout(t, Config{Path: path})
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a rollout without boards was written")
	}
	r.Consider(key, old("s"))
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.Consider(key, old("s"))
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("written though nothing changed")
	}
	r.config.Path = filepath.Join(path, "in a folder that is not there")
	r.Consider(key, old("s2"))
	for range 2 {
		if r.Save() == nil {
			t.Error("a change that could not be written is forgotten")
		}
	}
}

// Two owners' boards may have one serial number: a clone of a card, or a made-up one.
func TestBoardsAreToldApartByKeyAndSerialNumber(t *testing.T) {
	r := newRollout(t, Config{})
	a, b := r.Consider(key, old("s")), r.Consider("f"+key[1:], old("s"))
	if a == "" || b == "" || a == b || len(r.Boards()) != 2 {
		t.Errorf("tokens %q, %q; %+v", a, b, r.Boards())
	}
}

func TestInventedBoardsAreBounded(t *testing.T) {
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "rollout.json")
	r := newRollout(t, Config{Path: path, Log: slog.New(slog.NewTextHandler(&log, nil))})
	first := r.Consider(key, old("first"))
	long := strings.Repeat("x", 500)
	for i := range maxBoards + 500 {
		b := old(fmt.Sprint(i, long))
		b.FailedVersion, b.FailedBecause = "v2", long
		r.Consider(key, b)
	}
	if got := len(r.Boards()); got != maxBoards {
		t.Errorf("%d boards, want %d", got, maxBoards)
	}
	if got := strings.Count(log.String(), "too many boards"); got != 1 {
		t.Errorf("logged %d times that there are too many", got)
	}
	if r.Consider(key, old("first")) != first {
		t.Error("a board that was there first lost its place")
	}
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxState/2 {
		t.Errorf("state file %v, %v, want at most half of what is read", info, err)
	}
	t.Logf("FIGURE rollout: %d boards take %d bytes of state", maxBoards, info.Size())
	if _, err := New(r.config); err != nil {
		t.Error(err)
	}
}

func TestStateFileThatIsBrokenIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rollout.json")
	for _, text := range []string{
		`{`, `{"format":2}`, `{"format":1,"boards":[{"serial":"s","phase":"lost"}]}`,
		`{"format":1,"boards":[{"serial":"","phase":"offered"}]}`,
		`{"format":1,"boards":[{"serial":"s","phase":"offered"},{"serial":"s","phase":"offered"}]}`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Update: v2(), Path: path}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error that names the file", text, err)
		}
	}
}

// FuzzState: whatever stands in the file, reading it ends in an error or in a state that is written
// and read back the same.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"format":1,"version":"v2","board":"rpi","index":200,"boards":[` +
		`{"serial":"s","owner":"0123","phase":"fetching","token":"T","bytes":5,"at":"2026-05-01T12:00:00Z"}]}`))
	f.Add([]byte(`{"format":1,"boards":[{"serial":"\u0000","phase":"offered"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseState(b)
		if err != nil {
			return
		}
		r, err := New(Config{Update: all.Update})
		if err != nil {
			t.Fatal(err)
		}
		r.take(all)
		if got := len(r.Boards()); got != len(all.Boards) {
			t.Errorf("%d boards of %d", got, len(all.Boards))
		}
	})
}

// serve is a server of a bundle of size bytes for one board.
func serve(t *testing.T, c Config, size int) (*Files, *httptest.Server, string, []byte) {
	t.Helper()
	bundle := bytes.Repeat([]byte("krazycam"), size/8)
	r := newRollout(t, c)
	f := NewFiles(r, File{
		Name: "krazycam-v2-rpi.update", Size: int64(size), ETag: "abc", Body: bytes.NewReader(bundle),
	})
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server, server.URL + f.URLPath(r.Consider(key, old("s"))), bundle
}

func TestFilesServesRangesToBoardsThatWereOfferedTheUpdate(t *testing.T) {
	f, server, url, bundle := serve(t, Config{}, 100_000)
	get := func(method, url, ranges, ifRange string) (int, []byte, http.Header) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ranges != "" {
			r.Header.Set("Range", ranges)
			r.Header.Set("If-Range", ifRange)
		}
		got, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		body, err := io.ReadAll(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		return got.StatusCode, body, got.Header
	}
	if status, body, h := get("HEAD", url, "", ""); status != 200 || len(body) != 0 || h.Get("ETag") != `"abc"` ||
		h.Get("Content-Length") != "100000" || h.Get("Accept-Ranges") != "bytes" {
		t.Errorf("HEAD: %d, %d bytes, %v", status, len(body), h)
	}
	if p := f.rollout.Boards()[0].Phase; p != Offered {
		t.Errorf("after HEAD the board is %s", p)
	}
	if status, body, _ := get("GET", url, "bytes=0-999", `"abc"`); status != 206 || !bytes.Equal(body, bundle[:1000]) {
		t.Errorf("a range: %d, %d bytes", status, len(body))
	}
	if b := f.rollout.Boards()[0]; b.Phase != Fetching || b.Bytes < 1000 {
		t.Errorf("after a range: %+v", b)
	}
	status, body, _ := get("GET", url, "bytes=99990-", `"abc"`)
	if status != 206 || !bytes.Equal(body, bundle[99990:]) {
		t.Errorf("the end: %d, %d bytes", status, len(body))
	}
	if status, body, _ := get("GET", url, "bytes=5-", `"other"`); status != 200 || !bytes.Equal(body, bundle) {
		t.Errorf("a range of another file: %d, %d bytes, want all", status, len(body))
	}
	for _, path := range []string{
		"/update/krazycam-v2-rpi.update", "/update//krazycam-v2-rpi.update", "/update/x/krazycam-v2-rpi.update",
		strings.TrimPrefix(url, server.URL) + "x", "/update/", "/update/../../etc/passwd",
	} {
		if status, _, _ := get("GET", server.URL+path, "", ""); status != 404 {
			t.Errorf("GET %s = %d, want 404", path, status)
		}
	}
	if status, _, _ := get("PUT", url, "", ""); status != 405 {
		t.Errorf("PUT = %d, want 405", status)
	}
}

func TestFilesBoundsHowManyFetchAtOnce(t *testing.T) {
	f, server, url, _ := serve(t, Config{}, 8000)
	for range fetchesMax {
		f.places <- struct{}{}
	}
	got, err := server.Client().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = got.Body.Close()
	if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" {
		t.Errorf("%d, %v, want 503 and when to ask again", got.StatusCode, got.Header)
	}
}

// What the operator learns in the middle of a fetch ends it.
func TestFetchBreaksOffWhenTheUpdateIsStopped(t *testing.T) {
	f, server, url, bundle := serve(t, Config{StopAfter: 1}, 64<<20)
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
	f.rollout.Consider(key, bad)
	n, err := io.Copy(io.Discard, got.Body)
	if err == nil || int(n)+1000 >= len(bundle) {
		t.Errorf("%d bytes came, %v, want an end before %d", n, err, len(bundle))
	}
}

// The server's limits are for answers of a few hundred bytes; a board on a slow line needs longer.
func TestSlowBoardHasTimeAsLongAsItTakesBytes(t *testing.T) {
	bundle := bytes.Repeat([]byte("krazycam"), 4<<20)
	r := newRollout(t, Config{})
	f := NewFiles(r, File{Name: "f.update", Size: int64(len(bundle)), ETag: "abc", Body: bytes.NewReader(bundle)})
	server := httptest.NewUnstartedServer(f)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 500*time.Millisecond, 500*time.Millisecond
	server.Start()
	defer server.Close()
	got, err := server.Client().Get(server.URL + f.URLPath(r.Consider(key, old("s"))))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	// Longer than the limits above, on any machine: the board reads the first half, waits, and goes on.
	if _, err := io.CopyN(io.Discard, got.Body, int64(len(bundle)/2)); err != nil {
		t.Fatal(err)
	}
	<-time.After(3 * server.Config.WriteTimeout)
	if n, err := io.Copy(io.Discard, got.Body); err != nil || n != int64(len(bundle)/2) {
		t.Errorf("%d bytes came, %v", n, err)
	}
}

func TestBoardThatTakesNoBytesLosesItsPlace(t *testing.T) {
	f, server, url, _ := serve(t, Config{}, 64<<20)
	f.stall = 50 * time.Millisecond
	got, err := server.Client().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	for len(f.places) > 0 { // the test's own limit ends it
		<-time.After(5 * time.Millisecond)
	}
	if _, err := io.Copy(io.Discard, got.Body); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the fetch ended with %v, want that it breaks off", err)
	}
}

func TestOfferIsWhatABoardTakes(t *testing.T) {
	r := newRollout(t, Config{Now: true})
	u := r.Offer("T", "https://desk:8080/update/T/f.update")
	if u == nil || u.Check() != nil || !u.Now || u.Version != "v2" {
		t.Errorf("%+v", u)
	}
	for _, c := range [][2]string{{"", "https://desk/f"}, {"T", "http://desk/f"}, {"T", "https:///f"}} {
		if u := r.Offer(c[0], c[1]); u != nil {
			t.Errorf("token %q, url %q: offered %+v", c[0], c[1], u)
		}
	}
}
