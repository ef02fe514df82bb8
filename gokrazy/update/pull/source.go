// A file on a server as a stream that can be wound forward: by ranges where the server knows them,
// else by reading on.

package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/krazycam/krazycam/gokrazy/update"
)

const (
	// headSpan is what the first request asks for: a Raspberry Pi's manifest has 57 kB. A longer one comes
	// with the second request.
	headSpan = 64 << 10
	// maxSkip is what is read and thrown away rather than asking again: a request costs about as much.
	maxSkip = 64 << 10
	// stallBytes must come within Limits.Stall. Slower than 1 kB/s, a root takes hours.
	stallBytes = 60_000
)

// A source reads a file from a server. The zero values of the lower half are those of a new one.
type source struct {
	client *http.Client
	url    *url.URL
	stall  time.Duration
	paced  io.Reader // the source itself, slowed down if the job wants that

	ctx    context.Context // of the attempt
	cancel context.CancelFunc
	body   io.ReadCloser
	pos    int64 // of the next byte
	end    int64 // of the answer, -1 if it did not say
	until  int64 // the next request asks up to here
	total  int64 // size of the file, -1 while it is not known
	whole  bool  // the server gives whole files only
	etag   string
	waited time.Duration // since stallBytes have come
	came   int64         // since then
}

// begin goes to the beginning, as if the file had never been seen.
func (s *source) begin(ctx context.Context) {
	s.close()
	*s = source{client: s.client, url: s.url, stall: s.stall, paced: s.paced, ctx: ctx, until: headSpan, total: -1}
}

func (s *source) close() {
	if s.body != nil {
		s.cancel()
		_ = s.body.Close() // nothing was written
		s.body = nil
	}
}

// seek goes forward to pos, from where bytes up to until will be read.
func (s *source) seek(pos, until int64) error {
	s.until = until
	ahead := pos - s.pos
	if s.whole || s.body != nil && ahead <= maxSkip {
		_, err := io.CopyN(io.Discard, s.paced, ahead)
		return err
	}
	s.close()
	s.pos = pos
	return nil
}

func (s *source) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err // at once: what has come already could go on for long
	}
	if s.body == nil {
		if s.total >= 0 && s.pos >= s.total {
			return 0, io.EOF
		}
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	n, err := s.readInTime(b)
	s.pos += int64(n)
	if s.end >= 0 && s.pos == s.end && (err == nil || errors.Is(err, io.EOF)) {
		_ = s.body.Close() // before cancel: the connection serves the next request, too
		s.body = nil
		s.cancel()
		return n, nil
	}
	if errors.Is(err, io.EOF) { // also of an answer that did not say how long it is
		err = fmt.Errorf("%w: the connection ended at byte %d", io.ErrUnexpectedEOF, s.pos)
	}
	return n, err
}

// readInTime reads as long as the server gives enough bytes in the time that it spends on them: the
// time of whoever reads, of a slow card say, does not count.
func (s *source) readInTime(b []byte) (int, error) {
	timer := time.AfterFunc(s.stall-s.waited, s.cancel)
	began := time.Now()
	n, err := s.body.Read(b)
	inTime := timer.Stop()
	s.waited += time.Since(began)
	if s.came += int64(n); s.came >= stallBytes {
		s.waited, s.came = 0, 0
	}
	if !inTime && s.ctx.Err() == nil {
		return n, fmt.Errorf("%w: %d bytes in %v", ErrSlow, s.came, s.stall)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, &brokenError{err}
	}
	return n, err
}

// open asks for the bytes from pos.
func (s *source) open() error {
	if s.pos > 0 && s.whole {
		return fmt.Errorf("%w: the connection ended at byte %d", io.ErrUnexpectedEOF, s.pos)
	}
	if s.until <= s.pos {
		s.until = s.pos + update.MaxManifest + update.MaxSignature
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(s.ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		s.cancel()
		return ErrAddress
	}
	request.Header.Set("User-Agent", "krazycam")
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", s.pos, s.until-1))
	if s.etag != "" {
		request.Header.Set("If-Range", s.etag)
	}
	answer, err := s.client.Do(request)
	if err != nil {
		s.cancel()
		if err = withoutURL(err); errors.Is(err, ErrServer) || errors.Is(err, ErrAddress) {
			return err
		}
		return &brokenError{err}
	}
	s.body = answer.Body
	if err := s.takeAnswer(answer); err != nil {
		s.close()
		return err
	}
	return nil
}

// takeAnswer looks at what the server says it gives.
func (s *source) takeAnswer(answer *http.Response) error {
	if e := answer.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return fmt.Errorf("%w: it packs it", ErrServer)
	}
	switch answer.StatusCode {
	case http.StatusPartialContent:
		return s.takeRange(answer.Header)
	case http.StatusOK:
		if s.pos > 0 { // it gave a range before
			return &brokenError{errors.New("the file changed meanwhile")}
		}
		s.whole, s.end, s.total = true, answer.ContentLength, answer.ContentLength
		return nil
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &brokenError{fmt.Errorf("%w: it answers %d", ErrServer, answer.StatusCode)}
	}
	return fmt.Errorf("%w: it answers %d %s", ErrServer, answer.StatusCode, http.StatusText(answer.StatusCode))
}

var contentRange = regexp.MustCompile(`^bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)$`)

// takeRange wants what was asked for, or the beginning of it.
func (s *source) takeRange(header http.Header) error {
	m := contentRange.FindStringSubmatch(header.Get("Content-Range"))
	if m == nil {
		return fmt.Errorf("%w: it gives a range without saying which", ErrServer)
	}
	first, _ := strconv.ParseInt(m[1], 10, 64) // 18 digits always fit
	last, _ := strconv.ParseInt(m[2], 10, 64)
	if first != s.pos || last < first || last >= s.until {
		return fmt.Errorf("%w: asked for bytes %d to %d it gives %d to %d", ErrServer, s.pos, s.until-1, first, last)
	}
	s.end = last + 1
	if total, err := strconv.ParseInt(m[3], 10, 64); err == nil {
		if s.total >= 0 && total != s.total {
			return &brokenError{errors.New("the file changed meanwhile")}
		}
		s.total = total
	}
	if tag := header.Get("ETag"); strings.HasPrefix(tag, `"`) && len(tag) < 200 { // a strong one
		s.etag = tag
	}
	return nil
}

// A brokenError may pass: a connection that ended, a server that is busy.
type brokenError struct{ error }

func (b *brokenError) Unwrap() error { return b.error }

// isBroken says whether another attempt may help.
func isBroken(err error) bool {
	var broken *brokenError
	return errors.As(err, &broken) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrSlow)
}
