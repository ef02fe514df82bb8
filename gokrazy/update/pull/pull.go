// Package pull fetches a bundle over https into a spool: for boards that nobody can reach.
//
// What the board has is not fetched, and what a broken connection left is not fetched again. The
// server is a stranger: nothing is believed before the manifest's signature was found right, and
// sizes come from that manifest. It must give a byte now and then, and all of them in a day; it may
// redirect to other https servers. Proxies of the environment are not used. The package owns one
// connection while Fetch runs, and nothing after it. Sizes are in bytes.
//
// Sources: RFC 9110 section 14 (ranges), section 13.1.5 (If-Range), section 15.4 (redirects).
package pull

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/krazycam/krazycam/gokrazy/update"
)

// What went wrong with a server, for errors.Is; update's own errors say what is wrong with a bundle.
var (
	ErrServer  = errors.New("the server does not give the file")
	ErrSlow    = errors.New("the server is too slow")
	ErrAddress = errors.New("not the address of an update server")
)

// A Job is one bundle to fetch.
type Job struct {
	URL   string          // https
	Spool *update.Spool   // of the caller, which uses it for nothing else meanwhile
	Have  map[string]bool // hashes of what the board has
	TLS   *tls.Config     // whom to believe; nil: the system's authorities

	// Check verifies, parses and permits what comes first, as begin of update.ReadBundle.
	Check func(raw, sig []byte) (update.Manifest, error)
	// Progress may be nil; of the bytes that are fetched, done have come.
	Progress func(done, total int64)

	// Pace may be nil; it slows a reader down, which lasts as long as Fetch, and reads nothing ahead. The
	// server is not blamed for the time that this takes.
	Pace func(io.Reader) io.Reader
	// Dial may be nil: a net.Dialer that connects to no address which package destination finds dangerous,
	// nor to this machine.
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Limits Limits // 0 is the default of each
}

// Limits are those of time.
type Limits struct {
	Stall time.Duration // in which stallBytes must come, or an answer begin; default 1 minute
	Total time.Duration // for all of it; default 24 hours: a bundle of 300 MB at 30 kbit/s
	Pause time.Duration // before the second attempt, twice that before the third; default 5 s
}

const (
	defaultStall = time.Minute
	defaultTotal = 24 * time.Hour
	defaultPause = 5 * time.Second
	// maxFruitless is how many attempts in a row may bring neither a whole part nor stallBytes.
	maxFruitless = 3
	// maxDamaged is how many parts of a bundle may come damaged; each is fetched again.
	maxDamaged = 2
)

// Fetch brings the bundle into the spool and returns its manifest once nothing is missing. A broken
// connection is made again as long as that brings anything. After an error, another Fetch goes on
// where this one ended. A bundle that is refused, or that is another than its manifest says, is not
// fetched again. Errors name no part of the URL's query, which may be a secret.
func Fetch(ctx context.Context, job Job) (update.Manifest, error) {
	at, err := url.Parse(job.URL)
	if err != nil || at.Scheme != "https" || at.Hostname() == "" || at.User != nil {
		return update.Manifest{}, fmt.Errorf("fetch: %w: wants https://HOST/…", ErrAddress)
	}
	job.Limits.Stall = cmp.Or(job.Limits.Stall, defaultStall)
	job.Limits.Pause = cmp.Or(job.Limits.Pause, defaultPause)
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(job.Limits.Total, defaultTotal))
	defer cancel()
	client := newClient(job)
	defer client.CloseIdleConnections()
	f := fetch{job: job, source: source{client: client, url: at, stall: job.Limits.Stall}}
	f.source.paced = &f.source
	if job.Pace != nil {
		f.source.paced = job.Pace(&f.source)
	}
	m, err := f.run(ctx)
	if err != nil {
		return update.Manifest{}, fmt.Errorf("fetch %s: %w", place(at), err)
	}
	return m, nil
}

// place is a URL without what may be a secret.
func place(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// fetch is a Job under way.
type fetch struct {
	job     Job
	source  source
	done    int64 // bytes of parts, of all attempts
	parts   int   // whole ones, of all attempts
	damaged int
}

// run attempts it until it is done, refused, or in vain.
func (f *fetch) run(ctx context.Context) (update.Manifest, error) {
	pause := f.job.Limits.Pause
	for fruitless := 0; ; {
		done, parts := f.done, f.parts
		m, err := f.attempt(ctx)
		f.source.close()
		switch {
		case err == nil:
			return m, nil
		case ctx.Err() != nil:
			return m, fmt.Errorf("%w after %d bytes: %w", ctx.Err(), f.done, err)
		case errors.Is(err, update.ErrPart) && f.damaged < maxDamaged:
			f.damaged++
		case !isBroken(err):
			return m, err
		}
		if fruitless++; f.parts > parts || f.done-done >= stallBytes {
			fruitless, pause = 0, f.job.Limits.Pause
		}
		if fruitless == maxFruitless {
			return m, err
		}
		if err := sleep(ctx, pause); err != nil {
			return m, err
		}
		pause *= 2
	}
}

// attempt reads the head, which may be another one than last time, and then what is missing.
func (f *fetch) attempt(ctx context.Context) (update.Manifest, error) {
	f.source.begin(ctx)
	raw, sig, err := update.ReadHead(&f.source)
	if err != nil {
		return update.Manifest{}, err
	}
	m, err := f.job.Check(raw, sig)
	if err != nil {
		return m, err
	}
	if err := f.job.Spool.Begin(raw, sig, m, f.job.Have); err != nil {
		return m, err
	}
	at, size := update.Offsets(m.Parts, len(raw), len(sig))
	if f.source.total >= 0 && f.source.total != size {
		return m, fmt.Errorf("%w: the server has %d bytes of it, the manifest says %d", update.ErrBundle,
			f.source.total, size)
	}
	f.source.total = size
	offset := map[string]int64{} // by hash: of several parts with one content the first
	for i, p := range m.Parts {
		if _, ok := offset[p.SHA256]; !ok {
			offset[p.SHA256] = at[i]
		}
	}
	return m, f.fetchMissing(m, offset)
}

func (f *fetch) fetchMissing(m update.Manifest, offset map[string]int64) error {
	missing := f.job.Spool.Missing(m, f.job.Have)
	total := f.done
	for _, p := range missing {
		total += p.Size - f.job.Spool.Partial(p)
	}
	for i, p := range missing {
		from := f.job.Spool.Partial(p)
		start := offset[p.SHA256] + from
		if err := f.source.seek(start, runEnd(missing[i:], offset)); err != nil {
			return err
		}
		counted := &countedReader{f: f, total: total}
		if err := f.job.Spool.Put(p, from, counted); err != nil {
			return err
		}
		f.parts++
	}
	return nil
}

// runEnd is where the parts end that lie so close together that one request for all is best.
func runEnd(missing []update.Part, offset map[string]int64) int64 {
	end := offset[missing[0].SHA256] + missing[0].Size
	for _, p := range missing[1:] {
		if offset[p.SHA256]-end > maxSkip {
			break
		}
		end = offset[p.SHA256] + p.Size
	}
	return end
}

// A countedReader reports how much has come.
type countedReader struct {
	f     *fetch
	total int64
}

func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.f.source.paced.Read(b)
	c.f.done += int64(n)
	if c.f.job.Progress != nil && n > 0 {
		c.f.job.Progress(c.f.done, c.total)
	}
	return n, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
