package remote

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/certificate"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A fakeBoard answers as camweb does, and says of an update what the test wants.
type fakeBoard struct {
	*httptest.Server
	fingerprint string

	mu      sync.Mutex
	status  api.Status
	then    []api.Status        // what it says after the bundle was taken, one a question; the last one stays
	have    map[string]bool     // hashes of parts that it has
	partial map[string][]byte   // by hash
	breaks  []int64             // after how many bytes of a request's body the connection breaks; 0: not
	refuse  string              // what it says of any bundle
	hang    func(*http.Request) // takes the place of an answer to a bundle; nil: nothing does
	posts   int                 // bundles

	breakWriting bool  // the connection breaks once all has come, and the board refuses what comes then
	skipped      int64 // bytes that were left out
	taken        bool
	asked        []string // paths
}

func newFakeBoard(t *testing.T) *fakeBoard {
	t.Helper()
	pair, err := certificate.Make()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pair.TLS()
	if err != nil {
		t.Fatal(err)
	}
	b := &fakeBoard{
		status: api.Status{Status: control.Status{Version: "v1", Index: 1, Board: "rpi", Slot: "a", Promoted: "a",
			Serial: "s"}},
		have: map[string]bool{}, partial: map[string][]byte{},
	}
	b.Server = httptest.NewUnstartedServer(b)
	b.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	b.StartTLS()
	t.Cleanup(b.Close)
	if b.fingerprint, err = pair.Fingerprint(); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *fakeBoard) client() *Client {
	return &Client{Host: b.Listener.Addr().String(), Fingerprint: b.fingerprint, Password: "sesame", Poll: 1}
}

func (b *fakeBoard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.hang != nil && r.URL.Path == api.UpdatePath {
		b.hang(r)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, r.URL.Path)
	answer := func(code int, v any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	if user, password, _ := r.BasicAuth(); r.URL.Path != api.StatusPath && (user != api.User || password != "sesame") {
		answer(http.StatusUnauthorized, api.Error{Error: "the password is wrong"})
		return
	}
	switch r.URL.Path {
	case api.StatusPath:
		if b.taken && len(b.then) > 0 {
			b.status = b.then[0]
			if len(b.then) > 1 {
				b.then = b.then[1:]
			}
		}
		answer(http.StatusOK, b.status)
	case api.UpdatePath:
		b.posts++
		if b.refuse != "" || b.status.Busy != "" {
			answer(http.StatusConflict, api.Error{Error: cmp.Or(b.refuse, "the board is busy: "+b.status.Busy)})
			return
		}
		b.take(r, answer)
	case api.PromotePath, api.RebootPath:
		answer(http.StatusOK, api.Done{OK: true})
	default:
		answer(http.StatusNotFound, api.Error{Error: "no such path"})
	}
}

// take reads a bundle whose first part may lack its beginning.
func (b *fakeBoard) take(r *http.Request, answer func(int, any)) {
	skip, _ := strconv.ParseInt(r.Header.Get(api.SkipHeader), 10, 64)
	b.skipped += skip
	limit := int64(1 << 40)
	if len(b.breaks) > 0 && b.breaks[0] > 0 {
		limit = b.breaks[0]
	}
	b.breaks = b.breaks[min(1, len(b.breaks)):]
	var raw, sig []byte
	body := &gapReader{r: io.LimitReader(r.Body, limit), gap: skip}
	received := int64(0)
	var m update.Manifest
	err := update.ReadBundle(body, func(r, s []byte) (update.Manifest, error) {
		var err error
		raw, sig = r, s
		m, err = update.ParseManifest(raw)
		at, _ := update.Offsets(m.Parts[:1], len(raw), len(sig))
		body.at = at[0]
		return m, err
	}, func(p update.Part, r io.Reader) error {
		_, err := io.CopyN(io.Discard, r, skip)
		if err != nil {
			return err
		}
		rest, err := io.ReadAll(r)
		received += int64(len(rest))
		b.partial[p.SHA256] = append(b.partial[p.SHA256][:skip:skip], rest...)
		skip = 0
		if sum := sha256.Sum256(b.partial[p.SHA256]); hex.EncodeToString(sum[:]) == p.SHA256 {
			b.have[p.SHA256] = true
		}
		return err
	})
	if err != nil {
		panic(http.ErrAbortHandler) // the connection breaks
	}
	taken := api.Taken{Version: m.Version, Index: m.Index, Received: received}
	for _, p := range m.Parts {
		if !b.have[p.SHA256] {
			taken.Missing = append(taken.Missing,
				api.Missing{Name: p.Name, SHA256: p.SHA256, Size: p.Size, Have: int64(len(b.partial[p.SHA256]))})
		}
	}
	code := http.StatusOK
	if len(taken.Missing) > 0 {
		code = http.StatusAccepted
	}
	b.taken = len(taken.Missing) == 0
	if b.taken && b.breakWriting {
		b.refuse = "another update is being sent to this board: try again later"
		panic(http.ErrAbortHandler)
	}
	answer(code, taken)
}

// A gapReader gives zeros for the bytes that the client left out.
type gapReader struct {
	r        io.Reader
	pos      int64
	at, gap  int64
	inserted int64
}

func (g *gapReader) Read(b []byte) (int, error) {
	if g.at > 0 && g.pos == g.at && g.inserted < g.gap {
		n := min(int64(len(b)), g.gap-g.inserted)
		clear(b[:n])
		g.inserted += n
		return int(n), nil
	}
	if g.at > g.pos {
		b = b[:min(int64(len(b)), g.at-g.pos)]
	}
	n, err := g.r.Read(b)
	g.pos += int64(n)
	return n, err
}

// newBundle is of version v2 with a root and two files.
func newBundle(t *testing.T) *update.Bundle {
	t.Helper()
	return bundleOf(t, strings.Repeat("root", 100_000))
}

func bundleOf(t *testing.T, root string) *update.Bundle {
	t.Helper()
	contents := map[string]string{
		"root":         root,
		"boot/vmlinuz": strings.Repeat("kernel", 50_000),
		"boot/a.dtb":   "tree",
	}
	m := update.Manifest{Format: 1, Board: "rpi", Version: "v2", Index: 2, TrialS: 5, MinimumLayout: 1}
	for _, name := range []string{"boot/a.dtb", "boot/vmlinuz", "root"} {
		sum := sha256.Sum256([]byte(contents[name]))
		m.Parts = append(m.Parts, update.Part{Name: name, Size: int64(len(contents[name])),
			SHA256: hex.EncodeToString(sum[:])})
	}
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	err = update.WriteBundle(&file, raw, []byte("signature"), m.Parts, func(p update.Part) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(contents[p.Name])), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := update.OpenBundle(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// unreachable is a dial that nobody answers.
func unreachable(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
