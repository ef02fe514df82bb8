// The bundle over HTTPS: in ranges, so that a board can go on where it was; each board by a path of its
// own, so that it is known how far it is.
// Spec: RFC 9110 sections 8.8.3 (ETag) and 14 (ranges).

package rollout

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	// PathPrefix begins the path of every file that Files serves.
	PathPrefix = "/update/"

	// fetchesMax is how many boards fetch at once; the others ask again. A bundle of 60 MB takes a
	// minute of a line of 8 Mbit/s, and boards choose their moment within an hour.
	fetchesMax = 16

	// stallTimeout ends a fetch that takes no bytes.
	stallTimeout = time.Minute
	// chunk is what is written at a time: a line of 8 kbit/s takes that within stallTimeout.
	chunk = 32 << 10

	busyRetryAfter = "60" // seconds
)

// A File is the bundle that is served.
type File struct {
	Name string // such as krazycam-v2-rpi.update
	Size int64
	ETag string // strong: another content has another one; without quotes
	Body io.ReaderAt
}

// Files serves a bundle to the boards that were offered it.
type Files struct {
	rollout *Rollout
	file    File
	places  chan struct{}
	stall   time.Duration
}

// NewFiles serves file for r. The caller closes what is below file after the server ended.
func NewFiles(r *Rollout, file File) *Files {
	return &Files{rollout: r, file: file, places: make(chan struct{}, fetchesMax), stall: stallTimeout}
}

// URLPath is where a board with this token fetches the bundle.
func (f *Files) URLPath(token string) string { return PathPrefix + token + "/" + f.file.Name }

// Offer makes the offer of a bundle that lies at url, which may be another server's; nil for no token,
// or a URL that no board would take.
func (r *Rollout) Offer(token, url string) *wire.Update {
	u := wire.Update{URL: url, Version: r.config.Version, Now: wire.Bool(r.config.Now)}
	if token == "" || u.Check() != nil {
		return nil
	}
	return &u
}

// ServeHTTP answers GET and HEAD of URLPath.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "GET and HEAD only", http.StatusMethodNotAllowed)
		return
	}
	token, name := path.Split(strings.TrimPrefix(r.URL.Path, PathPrefix))
	token = strings.TrimSuffix(token, "/")
	if name != f.file.Name || !f.rollout.mayFetch(token) {
		http.NotFound(w, r)
		return
	}
	select {
	case f.places <- struct{}{}:
		defer func() { <-f.places }()
	default:
		w.Header().Set("Retry-After", busyRetryAfter)
		http.Error(w, "too many boards fetch at this moment", http.StatusServiceUnavailable)
		return
	}
	body := &countingReader{ReadSeeker: io.NewSectionReader(f.file.Body, 0, f.file.Size)}
	if r.Method == http.MethodGet {
		body.note = func(end int64) bool { return f.rollout.noteFetch(token, end) }
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("ETag", fmt.Sprintf("%q", f.file.ETag))
	slow := &patientWriter{ResponseWriter: w, to: http.NewResponseController(w), stall: f.stall}
	http.ServeContent(slow, r, f.file.Name, time.Time{}, body)
}

// errStopped breaks a fetch off.
var errStopped = errors.New("the update was stopped")

// A countingReader notes up to which byte a board has got, and ends when note says no.
type countingReader struct {
	io.ReadSeeker
	at   int64
	note func(end int64) bool
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.ReadSeeker.Read(b[:min(len(b), chunk)])
	c.at += int64(n)
	if c.note != nil && n > 0 && !c.note(c.at) {
		return 0, errStopped
	}
	return n, err
}

func (c *countingReader) Seek(offset int64, whence int) (int64, error) {
	at, err := c.ReadSeeker.Seek(offset, whence)
	c.at = at
	return at, err
}

// A patientWriter gives a slow board the time it needs, as long as it takes bytes: the server's own
// limits are for answers of a few hundred bytes. It is no io.ReaderFrom, so that every chunk passes
// here.
type patientWriter struct {
	http.ResponseWriter
	to    *http.ResponseController
	stall time.Duration
}

func (p *patientWriter) Write(b []byte) (int, error) {
	total := 0
	for len(b) > 0 {
		until := time.Now().Add(p.stall)
		// Where deadlines cannot be set, the server's own hold. What a board sends meanwhile is nothing.
		_, _ = p.to.SetWriteDeadline(until), p.to.SetReadDeadline(until)
		n, err := p.ResponseWriter.Write(b[:min(len(b), chunk)])
		total += n
		if err != nil {
			return total, err
		}
		b = b[n:]
	}
	return total, nil
}

// mayFetch says whether the board with this token is still meant to have the bundle.
func (r *Rollout) mayFetch(token string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.tokens[token]
	return one != nil && r.wants(one)
}

func (r *Rollout) wants(one *record) bool { return one.Phase != FellBack && !r.stopped() }

// noteFetch notes that a board has the bundle up to byte end, and says whether it may go on.
func (r *Rollout) noteFetch(token string, end int64) bool {
	now := r.config.Clock()
	r.mu.Lock()
	one := r.tokens[token]
	if one == nil || !r.wants(one) {
		r.mu.Unlock()
		return false
	}
	one.Bytes = max(one.Bytes, end)
	began := one.Phase == Offered || one.Phase == NotJudged
	if began {
		r.move(one, Fetching, "", now)
	}
	r.mu.Unlock()
	if began {
		r.config.Log.Info("update: fetching", "serial", one.Serial, "version", r.config.Version)
	}
	return true
}
