// How a bundle passes: what a board has got is noted, and it has the time that it needs.

package rollout

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

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

// A passage gives a slow board the time it needs, as long as it takes bytes: the server's own limits are for
// answers of a few hundred bytes. It is no io.ReaderFrom, so that every chunk passes here.
type passage struct {
	http.ResponseWriter
	to    *http.ResponseController
	stall time.Duration

	mu     sync.Mutex // a deadline is set under it, which waits for nothing
	isOver bool
}

// stop breaks it off, whatever it waits for. It is called before the answer is over.
func (p *passage) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isOver = true
	_ = p.to.SetWriteDeadline(time.Unix(1, 0)) // where that cannot be, the server's own limits hold
}

// extend gives it time for one more chunk; false: it was stopped.
func (p *passage) extend() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isOver {
		return false
	}
	until := time.Now().Add(p.stall)
	// Where deadlines cannot be set, the server's own hold. What a board sends meanwhile is nothing.
	_, _ = p.to.SetWriteDeadline(until), p.to.SetReadDeadline(until)
	return true
}

func (p *passage) Write(b []byte) (int, error) {
	total := 0
	for len(b) > 0 {
		if !p.extend() {
			return total, errStopped
		}
		n, err := p.ResponseWriter.Write(b[:min(len(b), chunk)])
		total += n
		if err != nil {
			return total, err
		}
		b = b[n:]
	}
	return total, nil
}
