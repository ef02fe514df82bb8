// Which buffers become pictures when the board is too slow for all of them. Pure.

package pipeline

import (
	"sync/atomic"
	"time"
)

// A share says which pictures are converted at all: one of every n. One goroutine
// sets n, another asks.
type share struct {
	n       atomic.Int32 // 0 is 1
	counted int32
	last    time.Duration // capture time
	every   time.Duration // between pictures, smoothed; 0 before the first
}

// skip tells whether to leave out the picture captured at the given time.
func (s *share) skip(at time.Duration) bool {
	s.every += (min(max(at-s.last, 0), time.Second) - s.every) / 8 // smooth: one late picture is no slow camera
	s.last = at
	n := s.n.Load()
	s.counted++
	return n > 1 && s.counted%n != 0
}
