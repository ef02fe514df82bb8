// How long to wait after a failure: exponential backoff with jitter, longer pauses for what only
// a person can mend, and what news of the network may do to them.

package gateway

import (
	"errors"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// The protocol's bounds: at most one request a second, growing to one attempt a minute. Where an
// owner must mend something at the gateway, minutes are soon enough.
const (
	retryPauseMin = time.Second
	retryPauseMax = time.Minute
	ownerPauseMin = 2 * time.Minute
	ownerPauseMax = 5 * time.Minute

	// jitterMax bounds the jitter of pauses up to a minute, so that the longest are 50 to 60 s
	// and not 30 to 60. The shorter pauses before them have scattered the boards already.
	jitterMax = 10 * time.Second
)

// backoff counts failures in a row. Its zero value is ready.
type backoff struct{ failures int }

// nextPause is 1 to 2 s, then 2 to 4, 4 to 8, 8 to 16, 22 to 32 and for ever 50 to 60 s. The
// jitter keeps boards that lost one gateway together from coming back together. random is from
// 0 to 1, 1 excluded.
func (b *backoff) nextPause(needsOwner bool, random float64) time.Duration {
	first, most, jitter := 2*retryPauseMin, retryPauseMax, jitterMax
	if needsOwner {
		first, most, jitter = 2*ownerPauseMin, ownerPauseMax, ownerPauseMax
	}
	whole := min(first<<min(b.failures, 10), most)
	jitter = min(whole/2, jitter)
	b.failures++
	return whole - jitter + time.Duration(random*float64(jitter))
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
	return refusal.Code/1000 == 4 && !refusal.IsPassing()
}

// News of the network (Wake) resets the backoff, so that a board streams at once where a cable is
// plugged in. A link that flaps makes such news without end: hence a budget of newsMax, of which
// one comes back every newsRefill. A start uses up to five: IPv6 address, IPv4 address, a default
// route of each, the clock.
const (
	newsMax    = 8
	newsRefill = 10 * time.Minute
)

// A newsBudget says how much of the news still counts. The zero newsBudget is full.
type newsBudget struct {
	used   int
	refill time.Time // when the next one comes back; where used is 0, it says nothing
}

// take uses one; false: none is left.
func (n *newsBudget) take(now time.Time) bool {
	for n.used > 0 && !now.Before(n.refill) {
		n.used--
		n.refill = n.refill.Add(newsRefill)
	}
	if n.used == newsMax {
		return false
	}
	if n.used++; n.used == 1 {
		n.refill = now.Add(newsRefill)
	}
	return true
}
