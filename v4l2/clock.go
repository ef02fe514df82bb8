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

// A pacer says which picture of a drawn or recorded source is due, as of a camera that runs
// whether or not it is read.
type pacer struct {
	interval time.Duration
	count    uint32 // pictures in the source
	paced    bool   // false: every picture is due at once
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
	return &pacer{
		interval: interval, count: count, paced: paced,
		now: Now, sleep: newSleep(), stop: make(chan struct{}),
	}
}

// endlessCount is a count that no run reaches: 30 pictures a second for four years.
const endlessCount = math.MaxUint32

// awaitPicture waits for the next picture and returns its index, its capture time, and how many
// were skipped because the caller came too late. Errors: io.EOF after the last picture,
// ErrSilent, ErrClosed. The caller holds p.mu.
func (p *pacer) awaitPicture(timeout time.Duration) (index uint32, at time.Duration, skipped uint32, err error) {
	if p.isStopped() {
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
		if err := p.sleepUntilDue(p.captureTime(index)-now, timeout); err != nil {
			return 0, 0, 0, fmt.Errorf("wait %v for picture %d: %w", timeout, index, err)
		}
	}
	skipped = index - p.next
	p.next = index + 1
	return index, p.captureTime(index), skipped, nil
}

// sleepUntilDue sleeps for d, but not longer than timeout.
func (p *pacer) sleepUntilDue(d, timeout time.Duration) error {
	if d <= 0 {
		return nil
	}
	p.sleep(min(d, timeout), p.stop)
	switch {
	case p.isStopped():
		return ErrClosed
	case d > timeout:
		return ErrSilent
	}
	return nil
}

// captureTime is the time stamp of a picture. Without pace it runs ahead of the clock: the
// encoder's rate control must see the source's rate, not the disk's.
func (p *pacer) captureTime(index uint32) time.Duration {
	return p.start + time.Duration(index)*p.interval
}

func (p *pacer) isStopped() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// shutDown makes awaitPicture return ErrClosed, at once if it waits. Once no Next is running
// any more it calls release, the first time only.
func (p *pacer) shutDown(release func() error) error {
	var err error
	p.close.Do(func() {
		close(p.stop)
		p.mu.Lock()
		defer p.mu.Unlock()
		err = release()
	})
	return err
}

// newSleep returns a sleep that uses one timer again and again, so that a paced source
// allocates nothing for a picture.
func newSleep() func(time.Duration, <-chan struct{}) {
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
