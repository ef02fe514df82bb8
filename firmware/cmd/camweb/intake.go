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
	// ratePerCore bounds what comes in, in bytes a second, up to maxRate: a whole update of 66 MB takes a
	// Pi 16 s.
	ratePerCore, maxRate = 2 << 20, 4 << 20
	// cpuShare is how much of all cores TLS, hashes and copies may take meanwhile, whatever a byte costs
	// on this board. The stream goes first (niceness), and this leaves it the other half.
	cpuShare = 0.5
	// burst is what may come at once, and after how much is counted: at each TLS record of 16 KiB there
	// would be four times as many pauses, and questions for cpu.
	burst = 64 << 10
	// maxPause bounds one pause, so that an update comes to an end: one of 66 MB in 9 minutes.
	maxPause = 500 * time.Millisecond
	// flushEvery bounds what waits for the card: a flush of all at the end would keep it busy for
	// seconds, with whoever else wants it.
	flushEvery = 2 << 20
)

// A pacer lets through what rate allows, and has what was spooled written bit by bit.
type pacer struct {
	rate  float64 // bytes a second
	share float64 // of one core
	cpu   func() time.Duration
	flush func()
	start time.Time
	now   func() time.Time
	sleep func(context.Context, time.Duration) error

	n, counted, flushed int64
	worked              time.Duration // of cpu when the last bytes had come
	busy                time.Time     // until then the share is used up
}

func (s *service) newPacer() *pacer {
	cores := float64(runtime.NumCPU())
	return &pacer{rate: min(ratePerCore*cores, maxRate), share: cpuShare * cores, cpu: cpuTime, worked: cpuTime(),
		flush: s.flush, start: now(), now: now, sleep: sleep}
}

// cpuTime is what this process has used of the processor.
func cpuTime() time.Duration {
	var use unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &use) != nil {
		return 0 // the rate alone counts
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// took waits until n more bytes may have come: burst more than rate allows since the start, and until the
// share of the processor pays for the work that they were. A sender who was slower makes up for nothing.
func (p *pacer) took(ctx context.Context, n int64) error {
	p.n += n
	if p.n-p.flushed >= flushEvery {
		p.flushed = p.n
		p.flush()
	}
	if p.n-p.counted < burst {
		return nil
	}
	p.counted = p.n
	now := p.now()
	if now.After(p.busy) {
		p.busy = now
	}
	worked := p.cpu()
	p.busy = p.busy.Add(time.Duration(float64(worked-p.worked) / p.share))
	p.worked = worked
	due := p.start.Add(time.Duration(float64(p.n-burst) / p.rate * float64(time.Second)))
	if late := now.Sub(due); late > time.Second {
		p.start = p.start.Add(late)
	}
	if p.busy.After(due) {
		due = p.busy
	}
	// What others cost is in cpu, too: strangers who shake hands, an owner who polls. They slow an
	// update, and must not stop it.
	if most := now.Add(maxPause); due.After(most) {
		due, p.busy = most, most
	}
	wait := due.Sub(now)
	if wait <= 0 {
		return nil
	}
	err := p.sleep(ctx, wait)
	p.worked = p.cpu() // the update did nothing meanwhile
	return err
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
