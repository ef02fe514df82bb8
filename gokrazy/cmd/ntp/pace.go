// How often servers are asked. No clock in here: durations come out.

package main

import "time"

const (
	// The limits of RFC 5905 for polite clients are 16 s and 36 h; ours are those of
	// the usual daemons, with an hour at most because nothing else moves our clock.
	minPoll = 64 * time.Second
	maxPoll = time.Hour

	minRetry = time.Second
	maxRetry = 64 * time.Second
)

// A pace is zero at the start and after each change of the network.
type pace struct {
	poll  time.Duration // last wait after an answer
	retry time.Duration // last wait after none, before jitter
}

// good returns how long to wait after an answer: 64 s, doubling to an hour.
func (p *pace) good() time.Duration {
	p.retry = 0
	p.poll = min(max(2*p.poll, minPoll), maxPoll)
	return p.poll
}

// bad returns how long to wait after a round without an answer: 1 s, doubling to
// 64 s, spread by jitter (0 to 1) over half to all of it, so that boards which lost
// the same server do not come back to it as one.
func (p *pace) bad(jitter float64) time.Duration {
	p.poll = 0
	p.retry = min(max(2*p.retry, minRetry), maxRetry)
	return p.retry/2 + time.Duration(jitter*float64(p.retry/2))
}

// refused returns the wait after a server asked for less (kiss of death): the
// longest retry at once.
func (p *pace) refused(jitter float64) time.Duration {
	p.retry = maxRetry
	return p.bad(jitter)
}
