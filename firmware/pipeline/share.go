// Which buffers become pictures when the board is too slow for all of them. Pure.

package pipeline

import (
	"sync/atomic"
	"time"
)

// A share takes one of every divisor pictures. The goroutine that encodes sets the divisor, the
// one that captures asks.
type share struct {
	divisor  atomic.Int32 // 0 counts as 1
	count    int32        // of pictures
	lastAt   time.Duration
	interval time.Duration // between pictures, smoothed; 0 before the first
}

// leavesOut says whether to leave out the picture captured at the given time.
func (s *share) leavesOut(at time.Duration) bool {
	// Smoothed over about eight pictures: a single late one does not make a slow camera.
	s.interval += (min(max(at-s.lastAt, 0), time.Second) - s.interval) / 8
	s.lastAt = at
	divisor := s.divisor.Load()
	s.count++
	return divisor > 1 && s.count%divisor != 0
}
