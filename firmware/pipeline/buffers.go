// What became of the buffers of one camera after the other: kept across openings, told with the stages.

package pipeline

import (
	"context"
	"log/slog"
	"sync"

	"github.com/krazycam/krazycam/v4l2"
)

// A counting camera says what it delivered and what it did not, and why.
type counting interface{ Counters() v4l2.Counters }

// buffers sums up what the cameras counted since the Source began. The zero value is ready.
type buffers struct {
	mu   sync.Mutex
	past v4l2.Counters // of cameras that were closed
	open counting      // nil: none, or one that does not count
}

// follow counts what camera counts from now on, beside all before it.
func (b *buffers) follow(camera Camera) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open != nil {
		b.past = b.past.Plus(b.open.Counters())
	}
	b.open, _ = camera.(counting)
}

func (b *buffers) read() v4l2.Counters {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		return b.past
	}
	return b.past.Plus(b.open.Counters())
}

// tell logs what a camera did wrong since before, nothing if that is nothing. That a newer
// picture was there already is no fault of the camera, nor is a clock that is ahead.
func (b *buffers) tell(ctx context.Context, log *slog.Logger, level slog.Level, before v4l2.Counters) (now v4l2.Counters) {
	now = b.read()
	since := now.Since(before)
	if since.Dropped()-since.Older > 0 || since.Missing > 0 {
		log.Log(ctx, level, "camera left pictures out", "buffers", since)
	}
	return now
}
