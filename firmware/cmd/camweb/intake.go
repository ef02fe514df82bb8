// One update at a time, and a pace that the stream does not notice.

package main

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// errBusy means that somebody else is sending.
var errBusy = errors.New("another update is being sent to this board: try again later")

// errPerson ends a fetch in favour of a person.
var errPerson = errors.New("somebody pushes an update")

// Who brings an update.
type bringer int

const (
	gatewayOffer bringer = iota
	person               // goes before what the gateway offers
)

// An intake lets one update in at a time.
type intake struct {
	turn chan struct{} // holds one token while an update comes in

	mu   sync.Mutex
	stop context.CancelCauseFunc // ends what comes in, if that gives way to a person; else nil
}

// acquire waits for nobody but a fetch that gives way. ctx ends when the update must.
func (i *intake) acquire(parent context.Context, who bringer) (release func(), ctx context.Context, err error) {
	select {
	case i.turn <- struct{}{}:
	default:
		if who != person || !i.interrupt() {
			return nil, nil, errBusy
		}
		select {
		case i.turn <- struct{}{}:
		case <-parent.Done():
			return nil, nil, parent.Err()
		case <-time.After(10 * time.Second): // a fetch ends within a read
			return nil, nil, errBusy
		}
	}
	ctx, cancel := context.WithCancelCause(parent)
	i.set(nil)
	if who == gatewayOffer {
		i.set(cancel)
	}
	return func() {
		i.set(nil)
		cancel(nil)
		<-i.turn
	}, ctx, nil
}

// interrupt asks a fetch to give way; false if what comes in is a person's.
func (i *intake) interrupt() bool {
	i.mu.Lock()
	stop := i.stop
	i.mu.Unlock()
	if stop == nil {
		return false
	}
	stop(errPerson)
	return true
}

func (i *intake) set(stop context.CancelCauseFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stop = stop
}

const (
	// ratePerCore bounds what comes in, in bytes a second: TLS and SHA-256 take a core of a Pi 3 about
	// 40 ns a byte together, so 1 MiB/s is 4 % of it, and on the one core of a BeagleBone 10 %
	// (estimates). A whole update of 66 MB takes a Pi 16 s.
	ratePerCore = 1 << 20
	// burst is what may come at once.
	burst = 64 << 10
	// flushEvery bounds what waits for the card: a flush of all at the end would keep it busy for
	// seconds, with whoever else wants it.
	flushEvery = 2 << 20
)

// A pacer lets through what rate allows, and has what was spooled written bit by bit.
type pacer struct {
	rate  float64 // bytes a second
	flush func()
	start time.Time
	now   func() time.Time
	sleep func(context.Context, time.Duration) error

	n, flushed int64
}

func (s *service) newPacer() *pacer {
	return &pacer{rate: float64(ratePerCore * min(runtime.NumCPU(), 4)), flush: s.flush, start: now(), now: now,
		sleep: sleep}
}

// took waits until n more bytes may have come: burst more than rate allows since the start. A sender who
// was slower makes up for nothing.
func (p *pacer) took(ctx context.Context, n int64) error {
	p.n += n
	if p.n-p.flushed >= flushEvery {
		p.flushed = p.n
		p.flush()
	}
	due := p.start.Add(time.Duration(float64(p.n-burst) / p.rate * float64(time.Second)))
	switch wait := due.Sub(p.now()); {
	case wait > 0:
		return p.sleep(ctx, wait)
	case wait < -time.Second:
		p.start = p.start.Add(-wait)
	}
	return nil
}

// flush waits until what was spooled is on the card.
func (s *service) flush() {
	f, err := s.openSpool()
	if err != nil {
		return // Put's own sync says what is wrong
	}
	defer f.Close()
	_ = unix.Syncfs(int(f.Fd()))
}

// A pacedReader reads at a pacer's pace, and ends with ctx.
type pacedReader struct {
	ctx  context.Context
	r    io.Reader
	pace *pacer
}

func (p *pacedReader) Read(b []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, context.Cause(p.ctx)
	}
	n, err := p.r.Read(b[:min(len(b), burst)])
	if waitErr := p.pace.took(p.ctx, int64(n)); waitErr != nil {
		return n, waitErr
	}
	return n, err
}

// sleep waits, or gives the cause why not.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
