// How often servers are asked. There is no clock in here: it returns durations.

package main

import "time"

const (
	// The limits of RFC 5905 for polite clients are 16 s and 36 h. These are the usual ones of
	// daemons, with an hour as the maximum because nothing else sets the clock.
	minPollInterval = 64 * time.Second
	maxPollInterval = time.Hour

	minRetryInterval = time.Second
	maxRetryInterval = 64 * time.Second
)

// A pollPace holds the last waits. It is zero at the start and after each change of the network.
type pollPace struct {
	poll  time.Duration // after an answer
	retry time.Duration // after a failure, before jitter
}

// afterAnswer returns the wait after an answer: 64 s, doubling to an hour.
func (p *pollPace) afterAnswer() time.Duration {
	p.retry = 0
	p.poll = min(max(2*p.poll, minPollInterval), maxPollInterval)
	return p.poll
}

// afterFailure returns the wait after a round without an answer: 1 s, doubling to 64 s. jitter, 0
// to 1, spreads it over half to all of that, so that boards which lost the same server do not
// ask it again at the same moment.
func (p *pollPace) afterFailure(jitter float64) time.Duration {
	p.poll = 0
	p.retry = min(max(2*p.retry, minRetryInterval), maxRetryInterval)
	return p.retry/2 + time.Duration(jitter*float64(p.retry/2))
}

// afterRefusal returns the wait after a server asked for fewer questions (kiss of death): the
// longest wait at once.
func (p *pollPace) afterRefusal(jitter float64) time.Duration {
	p.retry = maxRetryInterval
	return p.afterFailure(jitter)
}
