// Many who write at once.

package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
)

const (
	writers = 8  // of each of two processes
	rounds  = 15 // of each writer
)

// testConcurrency has sources of one customer begin and end streams through two stores of one database,
// beside batches of statistics: the rules hold, and no call fails for any other reason.
func testConcurrency(t *testing.T, open Opener) {
	both := []*store.Store{open(t), open(t)}
	anna := customer(t, both[0], "anna")
	const camerasMax = 5
	var all sync.WaitGroup
	var active, begun, refused atomic.Int64
	for n := range 2 * writers {
		board := source(t, both[0], anna, noon)
		all.Go(func() {
			s := both[n%2]
			for i := range rounds {
				id := fmt.Sprintf("c%d-%d", n, i)
				err := s.BeginStream(t.Context(), granted(id, board), camerasMax, noon)
				if errors.Is(err, store.ErrCamerasMax) {
					refused.Add(1)
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if now := active.Add(1); now > camerasMax {
					t.Errorf("%d streams at once, %d are allowed", now, camerasMax)
				}
				begun.Add(1)
				err = errors.Join(s.TouchStream(t.Context(), id, noon),
					s.SaveStats(t.Context(), []store.StreamStats{{Stream: id, Stats: busy(i), At: noon}}))
				active.Add(-1)
				if err = errors.Join(err, s.EndStream(t.Context(), id, "over", at(time.Second))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	ended := get[[]store.Stream](t)(both[0].EndedStreams(t.Context(), store.StreamFilter{}))
	if int64(len(ended)) != begun.Load() || begun.Load()+refused.Load() != 2*writers*rounds {
		t.Errorf("%d ended of %d begun, %d refused", len(ended), begun.Load(), refused.Load())
	}
}

// Busy has 16 goroutines read and write at once, as long as it takes to use all connections of a pool.
func Busy(t testing.TB, s *store.Store) {
	t.Helper()
	var all sync.WaitGroup
	for n := range 2 * writers {
		all.Go(func() {
			for i := range rounds {
				if err := s.SetSetting(t.Context(), fmt.Sprintf("busy%d", n), fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
