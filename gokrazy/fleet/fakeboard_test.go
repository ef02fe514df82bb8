package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"aead.dev/minisign"

	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/certificate"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A fakeBoard is a board's HTTPS, over real TLS: it takes signed bundles only, tries the version for some
// questions, and keeps it or goes back.
type fakeBoard struct {
	*httptest.Server
	client remote.Client
	key    string // of updates

	mu       sync.Mutex
	status   api.Status
	bad      bool // the new version does not work on it
	unjudged bool // neither version works
	tries    int  // questions until the trial ends
	asked    int  // questions since it began
	trials   int
	sent     func() // is called when a bundle has come
}

const password = "sesame"

func newFakeBoard(t *testing.T, n int, key string) *fakeBoard {
	t.Helper()
	pair, err := certificate.Make()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pair.TLS()
	if err != nil {
		t.Fatal(err)
	}
	b := &fakeBoard{key: key, tries: 3, status: api.Status{Whole: true, Status: control.Status{
		Version: "v1", Index: 100, Board: "rpi", Slot: "a", Promoted: "a", Serial: fmt.Sprintf("10000000%08x", n)}}}
	b.Server = httptest.NewUnstartedServer(b)
	b.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	b.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that a Run breaks off
	b.StartTLS()
	t.Cleanup(b.Close)
	fingerprint, err := pair.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	b.client = remote.Client{Host: b.host(), Fingerprint: fingerprint, Password: password, Poll: 1}
	return b
}

func (b *fakeBoard) host() string { return b.Listener.Addr().String() }

func (b *fakeBoard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	answer := func(code int, v any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	_, given, _ := r.BasicAuth()
	switch {
	case given != password:
		answer(http.StatusUnauthorized, api.Error{Error: "the password is wrong"})
	case r.URL.Path == api.StatusPath:
		b.goOn()
		answer(http.StatusOK, b.status)
	case r.URL.Path != api.UpdatePath:
		answer(http.StatusNotFound, api.Error{Error: "no such path"})
	case b.status.OnTrial:
		answer(http.StatusConflict, api.Error{Error: "slot b is on trial"})
	default:
		b.take(r.Body, answer)
	}
}

// take reads a bundle and begins the trial.
func (b *fakeBoard) take(body io.Reader, answer func(int, any)) {
	var m update.Manifest
	got := map[string]bool{}
	received := int64(0)
	err := update.ReadBundle(body, func(raw, sig []byte) (update.Manifest, error) {
		err := update.Verify(raw, sig, []string{b.key})
		if err == nil {
			m, err = update.ParseManifest(raw)
		}
		return m, err
	}, func(p update.Part, r io.Reader) error {
		n, err := io.Copy(io.Discard, r)
		received += n
		got[p.SHA256] = true
		return err
	})
	if err != nil {
		answer(http.StatusBadRequest, api.Error{Error: err.Error()})
		return
	}
	taken := api.Taken{Version: m.Version, Index: m.Index, Received: received}
	for _, p := range m.Parts {
		if !got[p.SHA256] {
			taken.Missing = append(taken.Missing, api.Missing{Name: p.Name, SHA256: p.SHA256, Size: p.Size})
		}
	}
	if len(taken.Missing) > 0 {
		answer(http.StatusAccepted, taken)
		return
	}
	b.trials++
	b.asked = 0
	b.status.OnTrial, b.status.Slot, b.status.Version, b.status.Index = true, "b", m.Version, m.Index
	b.status.Trial = &control.Trial{Slot: "b", Version: m.Version, State: control.StateOnTrial, Tries: 1}
	if b.sent != nil {
		b.sent()
	}
	answer(http.StatusOK, taken)
}

// goOn ends a trial after some questions.
func (b *fakeBoard) goOn() {
	if !b.status.OnTrial {
		return
	}
	if b.asked++; b.asked < b.tries {
		return
	}
	s := &b.status
	tried, index := s.Version, s.Index
	s.OnTrial = false
	if !b.bad && !b.unjudged {
		s.Promoted, s.Trial.State = "b", control.StatePromoted
		return
	}
	s.Slot, s.Version, s.Index = "a", "v1", 100
	s.Trial.State, s.Trial.Reason = control.StateNotJudged, "the gateway is out"
	if b.bad {
		s.Trial.State, s.Trial.Reason = control.StateFailed, "no picture"
		s.Failed = &control.Failed{Version: tried, Index: index, Because: "no picture"}
	}
}

// bundle is of the version v2.
func bundle(t *testing.T) (b *update.Bundle, key string) {
	t.Helper()
	public, secret, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]string{"boot/vmlinuz": "a kernel", "root": strings.Repeat("a root ", 4000)}
	m := update.Manifest{Format: update.Format, Board: "rpi", Version: "v2", Index: 200, TrialS: 5, MinimumLayout: 1}
	for _, name := range []string{"boot/vmlinuz", "root"} {
		sum := sha256.Sum256([]byte(content[name]))
		m.Parts = append(m.Parts, update.Part{
			Name: name, Size: int64(len(content[name])), SHA256: hex.EncodeToString(sum[:])})
	}
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	r := minisign.NewReader(bytes.NewReader(raw))
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = update.WriteBundle(&out, raw, r.SignWithComments(secret, "", ""), m.Parts,
		func(p update.Part) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(content[p.Name])), nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if b, err = update.OpenBundle(bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
		t.Fatal(err)
	}
	return b, public.String()
}

// A testFleet is some boards and how they are found.
type testFleet struct {
	bundle *update.Bundle
	boards []*fakeBoard
	hosts  []string
	by     map[string]*fakeBoard
}

// newFleet makes n boards, of which those with the numbers in bad do not bear the new version.
func newFleet(t *testing.T, n int, bad ...int) *testFleet {
	t.Helper()
	b, key := bundle(t)
	f := &testFleet{bundle: b, by: map[string]*fakeBoard{}}
	for i := range n {
		board := newFakeBoard(t, i, key)
		for _, one := range bad {
			board.bad = board.bad || one == i
		}
		f.boards, f.hosts, f.by[board.host()] = append(f.boards, board), append(f.hosts, board.host()), board
	}
	return f
}

func (f *testFleet) connect(_ context.Context, host string) (Board, error) {
	return &f.by[host].client, nil
}

func (f *testFleet) config(state string) Config {
	return Config{Hosts: f.hosts, Bundle: f.bundle, Connect: f.connect, AtOnce: 4, State: state}
}
