// A pool of port pairs: each stream has one. Sockets are opened for a stream and closed a while after
// it, so that a port of the pool costs nothing while nobody needs it.

package receiver

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
)

// portQuiet is how long a port is kept after its stream: what is on its way is no "port unreachable" for
// the source, and nothing for the next stream.
const portQuiet = time.Second

// A pair has the ports of one stream of a pool.
type pair struct {
	first     int // RTP's port; RTCP's is the next
	rtp, rtcp socket
	session   atomic.Pointer[session] // nil: quiet
	readers   sync.WaitGroup          // one for each socket
	quietTill time.Time
}

// A pool gives pairs of ports. Its lock is held while sockets are opened and closed.
type pool struct {
	host        string
	first, last int // ports; first is even

	mu    sync.Mutex
	free  []int // RTP's ports that are closed, the longest unused first
	quiet []*pair
	used  map[*pair]bool
}

func newPool(host string, first, last int) (*pool, error) {
	first += first % 2 // RFC 3550 section 11: RTP's port is even, RTCP's the next
	if first < 1024 || last > 65535 || last <= first {
		return nil, fmt.Errorf("receiver: ports %d to %d: want a pair or more of 1024 to 65535", first, last)
	}
	p := &pool{host: host, first: first, last: last, used: map[*pair]bool{}}
	for n := first; n < last; n += 2 {
		p.free = append(p.free, n)
	}
	return p, nil
}

// size is how many streams there is room for.
func (p *pool) size() int { return (p.last - p.first + 1) / 2 }

// take opens a pair. A port that another program has is passed over.
func (p *pool) take() (*pair, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 && len(p.quiet) > 0 {
		p.closeFirstQuiet()
	}
	var failures []error
	for range len(p.free) {
		n := p.free[0]
		p.free = append(p.free[:0], p.free[1:]...)
		opened, err := openPair(p.host, n)
		if err == nil {
			p.used[opened] = true
			return opened, nil
		}
		p.free = append(p.free, n)
		failures = append(failures, err)
		if len(failures) == portTriesMax {
			break
		}
	}
	return nil, errors.Join(stream.ErrFull, errors.Join(failures...))
}

// portTriesMax bounds the ports that are tried for one stream.
const portTriesMax = 16

func openPair(host string, n int) (*pair, error) {
	rtp, err := listenUDP(host, n, poolBuffer)
	if err != nil {
		return nil, err
	}
	rtcp, err := listenUDP(host, n+1, poolBuffer)
	if err != nil {
		_ = rtp.Close()
		return nil, err
	}
	return &pair{first: n, rtp: rtp, rtcp: rtcp}, nil
}

// giveBack keeps a pair quiet until it may be closed.
func (p *pool) giveBack(one *pair, now time.Time) {
	one.session.Store(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.used, one)
	one.quietTill = now.Add(portQuiet)
	p.quiet = append(p.quiet, one)
}

// closeQuiet closes what was quiet for long enough.
func (p *pool) closeQuiet(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.quiet) > 0 && !now.Before(p.quiet[0].quietTill) {
		p.closeFirstQuiet()
	}
}

// closeFirstQuiet is called with mu held.
func (p *pool) closeFirstQuiet() {
	one := p.quiet[0]
	p.quiet = append(p.quiet[:0], p.quiet[1:]...)
	one.close()
	p.free = append(p.free, one.first)
}

// close ends what reads the pair, too.
func (one *pair) close() {
	_, _ = one.rtp.Close(), one.rtcp.Close()
	one.readers.Wait()
}

// closeAll closes every pair.
func (p *pool) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.quiet) > 0 {
		p.closeFirstQuiet()
	}
	for one := range p.used {
		one.close()
	}
	clear(p.used)
}

// drops sums what the kernel dropped of pairs that are open.
func (p *pool) drops() (n uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for one := range p.used {
		n += one.rtp.drops() + one.rtcp.drops()
	}
	return n
}

// write sends RTCP from the pair.
func (one *pair) write(b []byte, to netip.AddrPort) error { return one.rtcp.write(b, to) }
