// The clock of all time stamps, and the pace of sources that have no camera.

package v4l2

import (
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Now reads CLOCK_MONOTONIC, the clock of Buffer.At. It cannot fail on Linux.
func Now() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // fails only for clocks that do not exist
	return time.Duration(ts.Nano())
}

// A pacer tells a drawn or recorded source which picture is due, like a camera that
// runs whether or not somebody looks.
type pacer struct {
	interval time.Duration
	count    uint32 // pictures in all
	paced    bool
	now      func() time.Duration
	sleep    func(d time.Duration, stop <-chan struct{}) // returns early when stop closes

	stop  chan struct{}
	close sync.Once

	mu      sync.Mutex
	started bool
	start   time.Duration
	next    uint32
}

func newPacer(interval time.Duration, count uint32, paced bool) *pacer {
	return &pacer{interval: interval, count: count, paced: paced, now: Now, sleep: sleeper(), stop: make(chan struct{})}
}

// endless is a count that no run reaches: 30 pictures a second for four years.
const endless = math.MaxUint32

// due waits for the next picture and says which one it is, when it was taken, and how many
// were skipped because the caller came too late. Errors: io.EOF after the last
// picture, ErrSilent, ErrClosed. The caller holds p.mu.
func (p *pacer) due(timeout time.Duration) (index uint32, at time.Duration, skipped uint32, err error) {
	if p.stopped() {
		return 0, 0, 0, ErrClosed
	}
	now := p.now()
	if !p.started {
		p.started, p.start = true, now
	}
	if p.next >= p.count {
		return 0, 0, 0, io.EOF
	}
	index = p.next
	if p.paced {
		newest := min(int64((now-p.start)/p.interval), int64(p.count)-1)
		index = uint32(max(newest, int64(index)))
		if err := p.await(p.time(index)-now, timeout); err != nil {
			return 0, 0, 0, fmt.Errorf("wait %v for picture %d: %w", timeout, index, err)
		}
	}
	skipped = index - p.next
	p.next = index + 1
	return index, p.time(index), skipped, nil
}

// await sleeps for d, but not longer than timeout.
func (p *pacer) await(d, timeout time.Duration) error {
	if d <= 0 {
		return nil
	}
	p.sleep(min(d, timeout), p.stop)
	switch {
	case p.stopped():
		return ErrClosed
	case d > timeout:
		return ErrSilent
	}
	return nil
}

// time is when a picture is taken. Without pace that runs ahead of the clock: the
// encoder's rate control is to see the source's rate, not the disk's.
func (p *pacer) time(index uint32) time.Duration {
	return p.start + time.Duration(index)*p.interval
}

func (p *pacer) stopped() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// end makes due return ErrClosed, at once if it waits. Once nobody is within the
// source any more it calls release, the first time only.
func (p *pacer) end(release func() error) error {
	var err error
	p.close.Do(func() {
		close(p.stop)
		p.mu.Lock()
		defer p.mu.Unlock()
		err = release()
	})
	return err
}

// sleeper returns a sleep that uses one timer over and over, so that a paced source
// allocates nothing for a picture.
func sleeper() func(time.Duration, <-chan struct{}) {
	timer := time.NewTimer(0)
	return func(d time.Duration, stop <-chan struct{}) {
		timer.Reset(d)
		select {
		case <-timer.C:
		case <-stop:
			timer.Stop()
		}
	}
}
