// Whether the disk has room.

package webm

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// spaceInterval: at 50 Mbit/s, 12 MB are written meanwhile.
const spaceInterval = 2 * time.Second

// watchSpace looks at the disk until ctx ends.
func (l *Library) watchSpace(ctx context.Context) {
	ticker := time.NewTicker(spaceInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.space.check(l.config)
		}
	}
}

// space says whether too little is free. It is checked by one goroutine and read by all.
type space struct {
	low   atomic.Bool
	words atomic.Pointer[string] // of low
}

// spaceRelief: recording goes on once a tenth more than the floor is free, not to begin and end with
// every file that somebody else writes.
const spaceRelief = 1.1

// check asks the system, and logs when the room ends and when there is some again. A disk that does not
// say how large it is has no floor.
func (s *space) check(c Config) {
	free, size, err := c.Disk(c.Dir)
	if err != nil {
		s.low.Store(false)
		return
	}
	floor := max(float64(c.FreeBytes), c.FreeShare*float64(size))
	switch low := s.low.Load(); {
	case !low && float64(free) < floor:
		words := fmt.Sprintf("nothing is recorded while less than %s is free on the disk of %s", sizeText(floor), c.Dir)
		s.words.Store(&words)
		s.low.Store(true)
		c.Log.Error("recordings: "+words, "free", sizeText(float64(free)))
	case low && float64(free) >= floor*spaceRelief:
		s.low.Store(false)
		c.Log.Info("recordings: the disk has room again", "free", sizeText(float64(free)))
	}
}

func sizeText(bytes float64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", bytes/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", bytes/(1<<20))
}
