// When to ask again: exponential backoff with jitter, and longer pauses for what only a
// person can mend.

package gateway

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// The protocol's bounds: at most one request a second, at least one a minute. Where an owner
// must mend something at the gateway, minutes are soon enough.
const (
	retryPauseMin = time.Second
	retryPauseMax = time.Minute
	ownerPauseMin = 2 * time.Minute
	ownerPauseMax = 5 * time.Minute
)

// backoff counts failures in a row. Its zero value is ready.
type backoff struct{ failures int }

// nextPause is between half and all of 2, 4, 8 … 60 s. The jitter, from half to all, keeps
// boards that lost one gateway together from coming back together. random is from 0 to 1,
// 1 excluded.
func (b *backoff) nextPause(needsOwner bool, random float64) time.Duration {
	first, most := 2*retryPauseMin, retryPauseMax
	if needsOwner {
		first, most = 2*ownerPauseMin, ownerPauseMax // half of it is minutes, too
	}
	whole := min(first<<min(b.failures, 10), most)
	b.failures++
	return whole/2 + time.Duration(random*float64(whole/2))
}

// needsOwner says whether only a person can mend err, so that there is no use in asking
// again soon.
func needsOwner(err error) bool {
	for _, e := range []error{ErrDestination, ErrConfig, ErrNoKeys, wire.ErrKeys} {
		if errors.Is(err, e) {
			return true
		}
	}
	var refusal *wire.Refusal
	if !errors.As(err, &refusal) {
		return false
	}
	switch refusal.Code {
	case wire.CodeUtilizationInvalid, wire.CodeNotReceived, wire.CodeAlreadyActive, wire.CodeNotRunning:
		return false
	}
	return refusal.Code/1000 == 4
}

// pauseFor waits d, or less if Wake is called, if doubtEnds and Doubt is called, or if ctx
// ends. Wake and Doubt never make it shorter than least: a link that goes up and down must
// not make a flood of requests. The result says whether Doubt ended it.
func (s *Session) pauseFor(ctx context.Context, d, least time.Duration, doubtEnds bool) (doubted bool) {
	var doubt chan struct{} // nil: never
	if doubtEnds {
		doubt = s.doubt
	} else {
		s.dropDoubt()
	}
	began := s.clock.Now()
	fired, stop := s.clock.After(d)
	defer stop()
	select {
	case <-ctx.Done():
		return false
	case <-fired:
		return false
	case <-doubt:
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

// dropDoubt takes a doubt that would be old by the time it could count.
func (s *Session) dropDoubt() {
	select {
	case <-s.doubt:
	default:
	}
}

// A request that never left this machine costs nobody anything, so it is repeated soon. Wake
// comes with the first address and route; what is still missing then is a name server, which
// DHCP writes down a moment later.
const (
	unsentPauseMax  = 250 * time.Millisecond
	unsentPauseWake = 20 * time.Millisecond // after Wake
)

// choosePause gives the pause after a request that failed with err, and the shortest that
// Wake may make of it. A board starts before DHCP has an address and reaches nobody; a pause
// of a second would delay its first picture by most of that.
func (s *Session) choosePause(err error) (d, least time.Duration) {
	d = s.backoff.nextPause(needsOwner(err), s.random())
	if neverSent(err) {
		return min(d, unsentPauseMax), unsentPauseWake
	}
	return d, retryPauseMin
}

// neverSent says whether the kernel had nowhere to send the request: no route to the
// gateway, or no server that could look up its name.
func neverSent(err error) bool {
	return errors.Is(err, errNoNameServer) || errors.Is(err, syscall.ENETUNREACH)
}
