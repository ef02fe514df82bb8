package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"aead.dev/minisign"
	"golang.org/x/crypto/bcrypt"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/certificate"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
)

const (
	sesame    = "open sesame"
	baseIndex = 1_790_000_000
)

// A signer has a pair of keys.
type signer struct {
	public  string
	private minisign.PrivateKey
}

func newSigner(t testing.TB) signer {
	t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return signer{public.String(), private}
}

// A build is a version with its bytes.
type build struct {
	manifest update.Manifest
	raw, sig []byte
	content  map[string][]byte // by hash
}

// newBuild is version v(index) of the board rpi, signed; all versions share the kernel.
func newBuild(t testing.TB, by signer, index int64) build {
	t.Helper()
	b := build{content: map[string][]byte{}, manifest: update.Manifest{
		Format: update.Format, Board: "rpi", Version: fmt.Sprintf("v%d", index), Index: baseIndex + index, TrialS: 5,
		MinimumLayout: 1, Keys: []string{by.public},
	}}
	for _, f := range []struct{ name, content string }{
		{"boot/vmlinuz", strings.Repeat("kernel", 30_000)},
		{"boot/overlays/README", fmt.Sprintf("of version %d", index)},
		{"root", squashfsMagic + strings.Repeat(fmt.Sprintf("root of %d ", index), 20_000)},
	} {
		sum := sha256.Sum256([]byte(f.content))
		p := update.Part{Name: f.name, Size: int64(len(f.content)), SHA256: hex.EncodeToString(sum[:])}
		b.manifest.Parts = append(b.manifest.Parts, p)
		b.content[p.SHA256] = []byte(f.content)
	}
	return b.signed(t, by)
}

// signed signs the manifest as it is now.
func (b build) signed(t testing.TB, by signer) build {
	t.Helper()
	var err error
	if b.raw, err = b.manifest.Encode(); err != nil {
		t.Fatal(err)
	}
	r := minisign.NewReader(bytes.NewReader(b.raw))
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	b.sig = r.SignWithComments(by.private, "of a test", "of a test")
	return b
}

func (b build) open(p update.Part) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b.content[p.SHA256])), nil
}

// bundle is that of these parts, all if there are none.
func (b build) bundle(t testing.TB, parts ...update.Part) []byte {
	t.Helper()
	if len(parts) == 0 {
		parts = b.manifest.Parts
	}
	var out bytes.Buffer
	if err := update.WriteBundle(&out, b.raw, b.sig, parts, b.open); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A testBoard is a folder that stands for a board, process 1 played by the test, and camweb itself.
type testBoard struct {
	*service
	t       *testing.T
	root    string
	address string
	by      signer
	v1      build // promoted and running

	mu    sync.Mutex
	asked []string
	no    string       // what process 1 says to each request; "": it does it
	did   func(string) // called for each request that is done
}

// newTestBoard serves version v1 with a password, and takes what its signer signs.
func newTestBoard(t *testing.T, edit func(*config.Config)) *testBoard {
	t.Helper()
	b := &testBoard{t: t, root: t.TempDir(), by: newSigner(t)}
	b.v1 = newBuild(t, b.by, 1)
	at := placesBelow(b.root)
	for _, dir := range []string{at.ownFolder, at.spool, filepath.Dir(at.status), filepath.Dir(at.offer), at.events} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.say(at, b.base())
	b.write(at.promoted, b.v1.raw)
	b.playInit(at.socket)
	hash, err := bcrypt.GenerateFromPassword([]byte(sesame), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Web.PasswordHash = string(hash)
	if edit != nil {
		edit(&c)
	}
	b.start(at, c)
	return b
}

func (b *testBoard) start(at places, c config.Config) {
	b.t.Helper()
	log := slog.New(slog.NewTextHandler(b.t.Output(), nil))
	pair, cert := choosePair(c.Web, at.ownFolder, log)
	var err error
	if b.service, err = newService(at, c, pair, log); err != nil {
		b.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	b.address = l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.serve(ctx, l, cert) }()
	b.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.t.Errorf("serve: %v", err)
		}
	})
}

// base is the status of a board that runs v1 and has tried nothing else.
func (b *testBoard) base() control.Status {
	return control.Status{Version: "v1", Index: b.v1.manifest.Index, Board: "rpi", Slot: "a", Promoted: "a",
		Serial: "10000000abcdef", Hostname: "krazycam-ABCDEF", Rung: "sent"}
}

// fellBack has the board be back on v1, as after a trial of v.
func (b *testBoard) fellBack(v build, because string) {
	b.t.Helper()
	s := b.base()
	s.Failed = &control.Failed{Version: v.manifest.Version, Index: v.manifest.Index, Because: because, At: noon}
	b.say(b.at, s)
}

func (b *testBoard) say(at places, s control.Status) {
	b.t.Helper()
	if err := control.WriteStatus(at.status, s); err != nil {
		b.t.Fatal(err)
	}
}

func (b *testBoard) write(path string, content []byte) {
	b.t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// playInit answers as process 1 does.
func (b *testBoard) playInit(socket string) {
	b.t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		b.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if request, err := control.ReadRequest(conn); err == nil {
				_ = control.WriteAnswer(conn, b.do(request.Ask))
			}
			_ = conn.Close()
		}
	}()
	b.t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
}

func (b *testBoard) do(what string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.no != "" {
		return errors.New(b.no)
	}
	b.asked = append(b.asked, what)
	if b.did != nil {
		b.did(what)
	}
	return nil
}

// requests is what process 1 was asked so far.
func (b *testBoard) requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

// wants compares what process 1 was asked.
func (b *testBoard) wants(asked ...string) {
	b.t.Helper()
	if got := b.requests(); !slices.Equal(got, asked) {
		b.t.Errorf("process 1 was asked %q, want %q", got, asked)
	}
}

func (b *testBoard) client() *remote.Client {
	return &remote.Client{Host: b.address, Fingerprint: b.fingerprint, Password: sesame, Poll: 1}
}

// curl asks with the right password unless args have another, and gives code and body.
func (b *testBoard) curl(body []byte, args ...string) (code, answer string) {
	b.t.Helper()
	need.Tools(b.t, "curl")
	path := args[len(args)-1]
	all := []string{"--silent", "--show-error", "--insecure", "--write-out", "\n%{http_code}"}
	if !slices.Contains(args, "--user") {
		all = append(all, "--user", "admin:"+sesame)
	}
	all = append(append(all, args[:len(args)-1]...), "https://"+b.address+path)
	cmd := exec.Command("curl", all...)
	cmd.Stdin = bytes.NewReader(body)
	out, err := cmd.CombinedOutput()
	text := string(out)
	i := strings.LastIndex(text, "\n")
	if i < 0 {
		b.t.Fatalf("curl %q: %v: %s", args, err, text)
	}
	return text[i+1:], text[:i]
}

// push posts a bundle with curl.
func (b *testBoard) push(bundle []byte, args ...string) (code string, answer map[string]any) {
	b.t.Helper()
	code, text := b.curl(bundle, append(append([]string{"--data-binary", "@-"}, args...), "/api/v1/update")...)
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		b.t.Fatalf("answer %s %q: %v", code, text, err)
	}
	return code, answer
}

// spooled says whether the spool holds all that b lacks of a build.
func (b *testBoard) spooled(v build) bool {
	b.t.Helper()
	raw, sig, err := b.spool.Manifest()
	return err == nil && bytes.Equal(raw, v.raw) && bytes.Equal(sig, v.sig) &&
		len(b.spool.Missing(v.manifest, update.HashesOf(b.v1.manifest))) == 0
}

// unfitting gives two pairs, of which the key of one does not fit the other.
func unfitting(t *testing.T) (a, b certificate.Pair) {
	t.Helper()
	a, errA := certificate.Make()
	b, errB := certificate.Make()
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	return a, b
}
