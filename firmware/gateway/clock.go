// Time passed in.

package gateway

import "time"

// Clock is what the session knows of time, so that a test replays an hour in a millisecond.
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
