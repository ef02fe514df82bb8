package pull

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/update"
)

// A file is a bundle as a server has it. Nothing signs it: Check of a Job is the caller's.
type file struct {
	manifest update.Manifest
	bytes    []byte
	content  map[string][]byte // by hash
}

// newFile makes a bundle with a root of rootSize bytes and two small files around it.
func newFile(t testing.TB, version string, rootSize int) file {
	t.Helper()
	f := file{content: map[string][]byte{}}
	f.manifest = update.Manifest{Format: 1, Board: "rpi", Version: version, Index: 1, TrialS: 5}
	for _, p := range []struct {
		name    string
		content []byte
	}{
		{"boot/vmlinuz", bytes.Repeat([]byte("kernel "), 20_000)},
		{"root", bytes.Repeat([]byte(version+" root "), rootSize/(len(version)+6))},
		{"boot/cmdline.txt", []byte("console=ttyAMA0\n")},
		{"boot/again.txt", []byte("console=ttyAMA0\n")},
	} {
		sum := sha256.Sum256(p.content)
		part := update.Part{Name: p.name, Size: int64(len(p.content)), SHA256: hex.EncodeToString(sum[:])}
		f.manifest.Parts = append(f.manifest.Parts, part)
		f.content[part.SHA256] = p.content
	}
	raw, err := f.manifest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	open := func(p update.Part) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(f.content[p.SHA256])), nil
	}
	err = update.WriteBundle(&out, raw, []byte("signature"), f.manifest.Parts, open)
	if err != nil {
		t.Fatal(err)
	}
	f.bytes = out.Bytes()
	return f
}

// ServeHTTP gives the file as most servers do: with ranges, and an ETag.
func (f file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"`+f.manifest.Version+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.bytes))
}

// withoutRanges gives whole files only, of a length that it says or not.
func (f file) withoutRanges(sayLength bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if sayLength {
			w.Header().Set("Content-Length", fmt.Sprint(len(f.bytes)))
		}
		_, _ = w.Write(f.bytes[:1000])
		w.(http.Flusher).Flush()
		_, _ = w.Write(f.bytes[1000:])
	}
}

// A server counts what it sends.
type server struct {
	*httptest.Server
	sent     atomic.Int64
	requests atomic.Int64
}

type countingWriter struct {
	http.ResponseWriter
	s *server
}

func (c countingWriter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.s.sent.Add(int64(n))
	return n, err
}

func (c countingWriter) Flush() { c.ResponseWriter.(http.Flusher).Flush() }

func (c countingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func newServer(t testing.TB, h http.Handler) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		h.ServeHTTP(countingWriter{w, s}, r)
	}))
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// job fetches from a server into a new spool, with limits of tests.
func (s *server) job(t testing.TB) Job {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return newJob(t, s.URL+"/rpi.update", roots)
}

func newJob(t testing.TB, at string, roots *x509.CertPool) Job {
	t.Helper()
	spool, err := update.MakeSpool(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { spool.Close() })
	return Job{
		URL: at, Spool: spool, TLS: &tls.Config{RootCAs: roots},
		Check: func(raw, _ []byte) (update.Manifest, error) { return update.ParseManifest(raw) },
		Dial:  (&net.Dialer{}).DialContext, Limits: Limits{Pause: time.Millisecond},
	}
}

// wantWhole wants all of f in the job's spool.
func wantWhole(t *testing.T, name string, job Job, f file) {
	t.Helper()
	if missing := job.Spool.Missing(f.manifest, job.Have); len(missing) > 0 {
		t.Errorf("%s: %d parts are missing", name, len(missing))
		return
	}
	for _, p := range f.manifest.Parts {
		if job.Have[p.SHA256] {
			continue
		}
		r, err := job.Spool.Open(p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, f.content[p.SHA256]) {
			t.Errorf("%s: %s has %d other bytes, %v", name, p.Name, len(got), err)
		}
	}
}

func TestFetchTakesAllFromAnyServer(t *testing.T) {
	f := newFile(t, "v2", 300_000)
	for name, h := range map[string]http.Handler{
		"with ranges":      f,
		"without":          f.withoutRanges(true),
		"without a length": f.withoutRanges(false),
		"behind 5 redirects": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.URL.Path) < len("/rpi.update")+5 {
				http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
				return
			}
			f.ServeHTTP(w, r)
		}),
		"that gives less than asked for": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var from, to int
			if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err != nil {
				t.Errorf("asked for %q", r.Header.Get("Range"))
			}
			to = min(to+1, from+40_000, len(f.bytes))
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", from, to-1))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(f.bytes[from:to])
		}),
	} {
		s := newServer(t, h)
		job := s.job(t)
		var done, total int64
		job.Progress = func(d, a int64) {
			if d < done || d > a || total != 0 && a != total {
				t.Errorf("%s: progress from %d of %d to %d of %d", name, done, total, d, a)
			}
			done, total = d, a
		}
		m, err := Fetch(t.Context(), job)
		if err != nil || !m.Equal(f.manifest) {
			t.Errorf("%s: Fetch = %+v, %v", name, m, err)
			continue
		}
		wantWhole(t, name, job, f)
		if done != total || done == 0 {
			t.Errorf("%s: progress ends at %d of %d", name, done, total)
		}
	}
}

func TestFetchAsksOnlyForWhatIsMissing(t *testing.T) {
	f := newFile(t, "v2", 3_000_000)
	s := newServer(t, f)
	job := s.job(t)
	job.Have = map[string]bool{f.manifest.Root().SHA256: true}
	if _, err := Fetch(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, "all but the root", job, f)
	if most := int64(140_000 + headSpan + 10_000); s.sent.Load() > most || s.requests.Load() > 3 {
		t.Errorf("the server sent %d bytes in %d answers, want at most %d in 3", s.sent.Load(), s.requests.Load(), most)
	}
	before := s.sent.Load()
	if _, err := Fetch(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if again := s.sent.Load() - before; again > headSpan {
		t.Errorf("fetched once more, all of which is there: %d bytes", again)
	}
}

// All parts pass by the pace, also those that are read over.
func TestPaceSeesAllThatComes(t *testing.T) {
	f := newFile(t, "v2", 1_000_000)
	for name, h := range map[string]http.Handler{"with ranges": f, "without": f.withoutRanges(true)} {
		job := newServer(t, h).job(t)
		job.Have = map[string]bool{f.manifest.Parts[0].SHA256: true}
		paced := &countingReader{}
		job.Pace = func(r io.Reader) io.Reader {
			paced.r = r
			return paced
		}
		if _, err := Fetch(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		wantWhole(t, name, job, f)
		if want := f.manifest.Root().Size; paced.n < want || name == "without" && paced.n < want+140_000 {
			t.Errorf("%s: %d bytes passed by, of a root of %d", name, paced.n, want)
		}
	}
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// A connection that breaks again and again, as on a bad radio link: nothing comes twice.
func TestFetchGoesOnWhereTheConnectionBroke(t *testing.T) {
	const piece = 200_000
	f := newFile(t, "v2", 3_000_000)
	s := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.ServeHTTP(&brokenWriter{ResponseWriter: w, left: piece}, r)
	}))
	job := s.job(t)
	if _, err := Fetch(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, "broken connections", job, f)
	pieces := int64(len(f.bytes)/(piece-headSpan) + 2)
	if most := int64(len(f.bytes)) + 2*pieces*headSpan; s.sent.Load() > most {
		t.Errorf("the server sent %d bytes of %d, want at most %d", s.sent.Load(), len(f.bytes), most)
	}
	t.Logf("FIGURE pull: %d bytes over a connection that breaks every %d bytes: %d bytes sent in %d answers",
		len(f.bytes), piece, s.sent.Load(), s.requests.Load())
}

// A brokenWriter breaks the connection after left bytes.
type brokenWriter struct {
	http.ResponseWriter
	left int
}

func (b *brokenWriter) Write(p []byte) (int, error) {
	n, err := b.ResponseWriter.Write(p[:min(len(p), b.left)])
	if b.left -= n; b.left == 0 {
		b.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func TestNextFetchGoesOnWhereThisOneWasStopped(t *testing.T) {
	f := newFile(t, "v2", 3_000_000)
	for name, h := range map[string]http.Handler{"with ranges": f, "without": f.withoutRanges(true)} {
		s := newServer(t, h)
		job := s.job(t)
		ctx, cancel := context.WithCancel(t.Context())
		job.Progress = func(done, total int64) {
			if done > total/2 {
				cancel()
			}
		}
		if _, err := Fetch(ctx, job); !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: Fetch = %v, want %v", name, err, context.Canceled)
		}
		half := job.Spool.Partial(f.manifest.Root())
		if half < 1_000_000 {
			t.Fatalf("%s: %d bytes of the root are kept", name, half)
		}
		before, first := s.sent.Load(), int64(-1)
		job.Progress = func(_, total int64) {
			if first < 0 {
				first = total
			}
		}
		if _, err := Fetch(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		wantWhole(t, name, job, f)
		if want := f.manifest.Root().Size - half + 16; first != want {
			t.Errorf("%s: %d bytes were to come, want %d", name, first, want)
		}
		if sent := s.sent.Load() - before; name == "with ranges" && sent > first+headSpan+1000 {
			t.Errorf("%s: the server sent %d bytes again, %d were missing", name, sent, first)
		}
	}
}

// The server's owner puts a new version in the place of the old one meanwhile.
func TestFetchTakesTheNewFileIfItChanges(t *testing.T) {
	old, now := newFile(t, "v2", 1_000_000), newFile(t, "v3", 1_500_000)
	var served atomic.Int64
	s := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1) == 1 { // the head is the old one's
			old.ServeHTTP(w, r)
			return
		}
		now.ServeHTTP(w, r)
	}))
	job := s.job(t)
	m, err := Fetch(t.Context(), job)
	if err != nil || m.Version != "v3" {
		t.Fatalf("Fetch = %s, %v, want v3", m.Version, err)
	}
	wantWhole(t, "changed", job, now)
}

func TestDamagedPartIsFetchedAgainButNotForEver(t *testing.T) {
	f := newFile(t, "v2", 300_000)
	damaged := f
	damaged.bytes = bytes.Clone(f.bytes)
	damaged.bytes[len(f.bytes)/2]++
	for _, c := range []struct {
		times int64
		want  error
	}{{1, nil}, {1000, update.ErrPart}} {
		var requests atomic.Int64
		s := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) <= 1+c.times {
				damaged.ServeHTTP(w, r)
				return
			}
			f.ServeHTTP(w, r)
		}))
		job := s.job(t)
		if _, err := Fetch(t.Context(), job); !errors.Is(err, c.want) {
			t.Errorf("damaged %d times: %v, want %v", c.times, err, c.want)
		}
		if most := int64(12); requests.Load() > most {
			t.Errorf("damaged %d times: %d requests, want at most %d", c.times, requests.Load(), most)
		}
	}
}

// What the caller refuses is not asked for, and not kept.
func TestRefusedBundleIsNotFetched(t *testing.T) {
	f := newFile(t, "v2", 3_000_000)
	s := newServer(t, f)
	job := s.job(t)
	job.Check = func([]byte, []byte) (update.Manifest, error) { return update.Manifest{}, update.ErrOlder }
	if _, err := Fetch(t.Context(), job); !errors.Is(err, update.ErrOlder) {
		t.Errorf("Fetch = %v, want %v", err, update.ErrOlder)
	}
	if _, _, err := job.Spool.Manifest(); err == nil || s.requests.Load() != 1 || s.sent.Load() > headSpan {
		t.Errorf("%d bytes in %d answers, the spool has begun: %t", s.sent.Load(), s.requests.Load(), err == nil)
	}
}

// secret stands in the URL's query and must not come back in an error.
const secret = "sesame"

// failure fetches and wants an error with one of these words that tells no secret.
func failure(t *testing.T, name string, job Job, want error, words string) {
	t.Helper()
	job.URL += "?token=" + secret
	_, err := Fetch(t.Context(), job)
	if !errors.Is(err, want) || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), secret) {
		t.Errorf("%s: %v, want %v (%s)", name, err, want, words)
	}
}
