// Whether the two goroutines go on: for how long each has been in one step. A goroutine that waits
// for work is in none.

package pipeline

import (
	"sync/atomic"
	"time"
)

// A step is when a goroutine began what it does, CLOCK_MONOTONIC; 0: it does nothing.
type step struct{ began atomic.Int64 }

func (s *step) begin(now time.Duration) { s.began.Store(int64(now)) }
func (s *step) end()                    { s.began.Store(0) }

// lasts is for how long the step has lasted.
func (s *step) lasts(now time.Duration) time.Duration {
	began := s.began.Load()
	if began == 0 {
		return 0
	}
	return max(now-time.Duration(began), 0)
}

// NoteCaptureStep notes that the goroutine that captures goes on: before each wait for a buffer, and
// each time it looks for a camera.
func (s *Stages) NoteCaptureStep(now time.Duration) { s.captureStep.begin(now) }

// StalledFor is for how long one of the two goroutines has not come back from a step, the longer of
// both. Steps of a healthy one take up to 2 s: a camera that says nothing is waited for that long.
func (s *Stages) StalledFor(now time.Duration) time.Duration {
	return max(s.captureStep.lasts(now), s.encodeStep.lasts(now))
}
