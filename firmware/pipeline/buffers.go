// What became of the buffers of one camera after the other: summed up across openings, logged
// with the stages. Owns the lock around it, under which only the camera's counters are read.

package pipeline

import (
	"context"
	"log/slog"
	"sync"

	"github.com/krazycam/krazycam/v4l2"
)

// A countingCamera says what it delivered and what it did not, and why.
type countingCamera interface{ Counters() v4l2.Counters }

// A bufferTotal sums up what the cameras counted since the Source began. The zero value is ready.
type bufferTotal struct {
	mu      sync.Mutex
	before  v4l2.Counters  // of the cameras before the current one
	current countingCamera // nil: none, or one that does not count
}

// addCamera makes camera the current one.
func (b *bufferTotal) addCamera(camera Camera) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current != nil {
		b.before = b.before.Plus(b.current.Counters())
	}
	b.current, _ = camera.(countingCamera)
}

// counters returns the sum of all cameras.
func (b *bufferTotal) counters() v4l2.Counters {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current == nil {
		return b.before
	}
	return b.before.Plus(b.current.Counters())
}

// logLosses logs what a camera did wrong since before, nothing if that is nothing. A picture
// left out because a newer one was there already is no fault of the camera, nor is a clock that
// is ahead.
func (b *bufferTotal) logLosses(ctx context.Context, log *slog.Logger, level slog.Level,
	before v4l2.Counters) (now v4l2.Counters) {
	now = b.counters()
	since := now.Since(before)
	if since.Dropped()-since.Older > 0 || since.Missing > 0 {
		log.Log(ctx, level, "camera left pictures out", "buffers", since)
	}
	return now
}
