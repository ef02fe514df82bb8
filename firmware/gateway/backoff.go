// When to ask again: exponential backoff with jitter, and the slow pace for what
// only a person can mend.

package gateway

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// Clock is time passed in, so that a test replays an hour in a millisecond.
type Clock interface {
	Now() time.Time
	// After is time.After with a stop that frees the timer.
	After(d time.Duration) (fired <-chan time.Time, stop func())
}

// SystemClock is the Clock of everything but tests.
type SystemClock struct{}

// Now is time.Now.
func (SystemClock) Now() time.Time { return time.Now() }

// After is time.NewTimer.
func (SystemClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// The protocol's bounds: never faster than once a second, at most once a minute.
// Minutes are for an owner who mends something at the gateway meanwhile.
const (
	shortestPause = time.Second
	longestPause  = time.Minute
	slowPause     = 2 * time.Minute
	longestSlow   = 5 * time.Minute
)

// backoff counts failures in a row. Its zero value is ready.
type backoff struct{ failures int }

// next is between half and all of 2, 4, 8 … 60 s; half of it is jitter, so that
// boards that lost one gateway at one time do not come back at one time. random is
// from 0 to 1, 1 excluded.
func (b *backoff) next(slow bool, random float64) time.Duration {
	first, most := 2*shortestPause, longestPause
	if slow {
		first, most = 2*slowPause, longestSlow // half of it is minutes, too
	}
	whole := min(first<<min(b.failures, 10), most)
	b.failures++
	return whole/2 + time.Duration(random*float64(whole/2))
}

// isSlow tells whether err is for a person to mend: asking soon again is no use.
func isSlow(err error) bool {
	if errors.Is(err, ErrDestination) || errors.Is(err, ErrConfig) || errors.Is(err, ErrPlain) || errors.Is(err, wire.ErrKeys) {
		return true
	}
	var refusal *wire.Refusal
	if !errors.As(err, &refusal) {
		return false
	}
	switch refusal.Code {
	case wire.CodeUtilizationInvalid, wire.CodeNotReceived, wire.CodeActive, wire.CodeNotRunning:
		return false
	}
	return refusal.Code/1000 == 4
}

// pause waits d, or less if Wake is called or ctx ends, but never less than least: a
// link that flaps must not turn us into a flood.
func (s *Session) pause(ctx context.Context, d, least time.Duration) { s.rest(ctx, d, least, false) }

// rest is a pause that doubt ends, too, if that counts. It tells whether it did.
func (s *Session) rest(ctx context.Context, d, least time.Duration, doubtCounts bool) (doubted bool) {
	var doubts chan struct{}
	if doubtCounts {
		doubts = s.doubts
	} else {
		select {
		case <-s.doubts: // old by the time that it could count
		default:
		}
	}
	began := s.clock.Now()
	fired, stop := s.clock.After(d)
	defer stop()
	select {
	case <-ctx.Done():
		return false
	case <-fired:
		return false
	case <-doubts:
		doubted = true
	case <-s.wake:
		s.backoff = backoff{}
	}
	rest, stopRest := s.clock.After(max(0, min(d, least)-s.clock.Now().Sub(began)))
	defer stopRest()
	select {
	case <-ctx.Done():
	case <-rest:
	}
	return doubted
}

// Where no request has left this machine, asking again costs nobody anything. Wake comes
// with the first address and route, so what is polled for is a name server, which DHCP
// writes down a moment later.
const (
	unsentPause  = 20 * time.Millisecond // after Wake
	unsentPauses = 250 * time.Millisecond
)

// pauses are how long to wait after a request that failed with err, and how long at least
// where Wake cuts that short. A board starts before DHCP has an address, asks nobody, and
// would lose most of a second.
func (s *Session) pauses(err error) (d, least time.Duration) {
	d = s.backoff.next(isSlow(err), s.random())
	if unsent(err) {
		return min(d, unsentPauses), unsentPause
	}
	return d, shortestPause
}

// unsent tells whether the kernel had no way for what failed with err: no route to the
// gateway, or nobody who knows its name.
func unsent(err error) bool {
	return errors.Is(err, errNoNameServer) || errors.Is(err, syscall.ENETUNREACH)
}
