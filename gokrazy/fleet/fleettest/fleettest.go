// Package fleettest has boards for tests of updates of a fleet, and the bundle that they take. It owns what
// it starts until the test ends.
package fleettest

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"aead.dev/minisign"

	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/certificate"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A Board is a board's HTTPS, over real TLS: it takes signed bundles only, tries the version for some
// questions, and keeps it or goes back.
type Board struct {
	Client      remote.Client // its other end
	Fingerprint string        // of its certificate

	Bad      bool   // the new version does not work on it
	Unjudged bool   // neither version works
	Sent     func() // is called when a bundle has come; nil: nobody wants to know

	server *httptest.Server
	key    string // of updates

	mu      sync.Mutex
	status  api.Status
	writing *update.Manifest // into its other slot; nil: nothing
	asked   int              // questions since the writing or the trial began
	trials  int
}

// Password is that of each board.
const Password = "sesame"

// How many questions a trial, and the writing of a slot, take.
const (
	questions        = 2
	writingQuestions = 6
)

// NewBoard starts board n, which runs v1 and takes what key has signed.
func NewBoard(t testing.TB, n int, key string) *Board {
	t.Helper()
	pair, err := certificate.Make()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pair.TLS()
	if err != nil {
		t.Fatal(err)
	}
	b := &Board{key: key, status: api.Status{Whole: true, Status: control.Status{
		Version: "v1", Index: 100, Board: "rpi", Slot: "a", Promoted: "a", Serial: fmt.Sprintf("10000000%08x", n)}}}
	b.server = httptest.NewUnstartedServer(b)
	b.server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	b.server.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that a Run breaks off
	b.server.StartTLS()
	t.Cleanup(b.server.Close)
	if b.Fingerprint, err = pair.Fingerprint(); err != nil {
		t.Fatal(err)
	}
	b.Client = remote.Client{Host: b.Host(), Fingerprint: b.Fingerprint, Password: Password, Poll: 1, Once: true}
	return b
}

// Host is its address and port.
func (b *Board) Host() string { return b.server.Listener.Addr().String() }

// Trials is how often it began to try a version.
func (b *Board) Trials() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trials
}

// Change changes what it says of itself.
func (b *Board) Change(edit func(*api.Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	edit(&b.status)
}

// ServeHTTP answers as camweb does.
func (b *Board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	answer := func(code int, v any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	_, given, _ := r.BasicAuth()
	switch {
	case given != Password:
		answer(http.StatusUnauthorized, api.Error{Error: "the password is wrong"})
	case r.URL.Path == api.StatusPath:
		b.goOn()
		answer(http.StatusOK, b.status)
	case r.URL.Path != api.UpdatePath:
		answer(http.StatusNotFound, api.Error{Error: "no such path"})
	case b.status.OnTrial:
		answer(http.StatusConflict, api.Error{Error: "slot b is on trial"})
	case b.writing != nil:
		answer(http.StatusConflict, api.Error{Error: "another update is being sent to this board: try again later"})
	default:
		b.take(r.Body, answer)
	}
}

// take reads a bundle and begins the trial.
func (b *Board) take(body io.Reader, answer func(int, any)) {
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
	if m.Version == b.status.Version && m.Index == b.status.Index {
		answer(http.StatusConflict, api.Error{Error: "runs it already"})
		return
	}
	if len(taken.Missing) > 0 {
		answer(http.StatusAccepted, taken)
		return
	}
	b.try(m)
	if b.Sent != nil {
		b.Sent()
	}
	answer(http.StatusOK, taken)
}

// Write has it write a version, as after a sender that was killed, and then try it.
func (b *Board) Write(m update.Manifest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writing, b.asked = &m, 0
	b.status.Trial, b.status.Busy = nil, "slot b is being written"
}

func (b *Board) try(m update.Manifest) {
	b.trials++
	b.asked = 0
	b.writing, b.status.Busy = nil, ""
	b.status.OnTrial, b.status.Slot, b.status.Version, b.status.Index = true, "b", m.Version, m.Index
	b.status.Trial = &control.Trial{
		Slot: "b", Version: m.Version, Index: m.Index, State: control.StateOnTrial, Tries: 1}
}

// goOn ends a trial, or what comes before it, after some questions.
func (b *Board) goOn() {
	if b.writing != nil {
		if b.asked++; b.asked >= writingQuestions {
			b.try(*b.writing)
		}
		return
	}
	if !b.status.OnTrial {
		return
	}
	if b.asked++; b.asked < questions {
		return
	}
	s := &b.status
	tried, index := s.Version, s.Index
	s.OnTrial = false
	if !b.Bad && !b.Unjudged {
		s.Promoted, s.Trial.State = "b", control.StatePromoted
		return
	}
	s.Slot, s.Version, s.Index = "a", "v1", 100
	s.Trial.State, s.Trial.Reason = control.StateNotJudged, "the gateway is out"
	if b.Bad {
		s.Trial.State, s.Trial.Reason = control.StateFailed, "no picture"
		s.Failed = &control.Failed{Version: tried, Index: index, Because: "no picture"}
	}
}

// Bundle makes the file of a version whose root has some bytes, and the key that has signed it.
func Bundle(t testing.TB, version string, index int64, rootBytes int) (file []byte, key string) {
	t.Helper()
	public, secret, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Appendf(nil, "root of %d ", index)
	content := map[string][]byte{
		"boot/vmlinuz": []byte("a kernel"), "root": bytes.Repeat(text, rootBytes/len(text)+1)[:rootBytes],
	}
	m := update.Manifest{
		Format: update.Format, Board: "rpi", Version: version, Index: index, TrialS: 5, MinimumLayout: 1,
	}
	for _, name := range []string{"boot/vmlinuz", "root"} {
		sum := sha256.Sum256(content[name])
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
			return io.NopCloser(bytes.NewReader(content[p.Name])), nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), public.String()
}
