// Statistics of streams: many small changes, which one goroutine writes in batches.

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
)

// StreamStats are the counts of one stream at a time.
type StreamStats struct {
	Stream string // its ID
	Stats  stream.Stats
	At     time.Time
}

// SaveStats keeps a batch in one transaction, of active streams and of ended ones. They replace
// those of before, whatever their times: clocks are set back. Those of a stream that is unknown are left out.
func (s *Store) SaveStats(ctx context.Context, batch []StreamStats) error {
	type change struct {
		id, stats string
		at        int64
	}
	changes := make([]change, 0, len(batch))
	for _, one := range batch {
		b, err := json.Marshal(one.Stats)
		if err != nil {
			return fmt.Errorf("store: save stats of %s: %w", one.Stream, err)
		}
		changes = append(changes, change{storable(one.Stream), storable(string(b)), micros(one.At)})
	}
	// All who write several streams do so in one order, so that none waits for another in a circle.
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(a.id, b.id) })
	return s.change(ctx, "save stats", func(ctx context.Context, tx *sql.Tx) error {
		update, err := tx.PrepareContext(ctx,
			`UPDATE streams SET stats = $2, stats_at = $3 WHERE id = $1`)
		if err != nil {
			return err
		}
		defer update.Close()
		for _, one := range changes {
			if _, err := update.ExecContext(ctx, one.id, one.stats, one.at); err != nil {
				return err
			}
		}
		return nil
	})
}

const (
	// statsWaitingMax bounds the memory of a StatsWriter: more streams than one process has.
	statsWaitingMax = 10_000

	statsLastTimeout = time.Second // of the last batch, when the program ends
)

// A StatsWriter takes the statistics of streams and writes the newest of each in batches. It is safe for
// use by several goroutines; nobody who puts something waits for the database.
type StatsWriter struct {
	store    *Store
	interval time.Duration
	log      *slog.Logger

	mu      sync.Mutex // guards what follows; nothing is called under it
	waiting map[string]StreamStats
	dropped int // for which there was no place
}

// NewStatsWriter makes a StatsWriter that writes once per interval, as long as its Run runs.
func NewStatsWriter(s *Store, interval time.Duration, log *slog.Logger) *StatsWriter {
	return &StatsWriter{store: s, interval: interval, log: log, waiting: map[string]StreamStats{}}
}

// Put takes the counts of a stream, which replace what waits of it.
func (w *StatsWriter) Put(one StreamStats) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was, waits := w.waiting[one.Stream]
	switch {
	case waits && was.At.After(one.At):
	case !waits && len(w.waiting) >= statsWaitingMax:
		w.dropped++
	default:
		w.waiting[one.Stream] = one
	}
}

// Run writes until ctx is done, and then once more what waits. A batch that cannot be written waits for
// the next one; an outage is logged when it begins and when it ends.
func (w *StatsWriter) Run(ctx context.Context) {
	tick := time.NewTicker(w.interval)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-tick.C:
			failing = w.write(ctx, failing)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), statsLastTimeout)
			defer cancel()
			w.write(last, failing)
			return
		}
	}
}

// write writes what waits; failing says whether the last batch could not be written.
func (w *StatsWriter) write(ctx context.Context, failing bool) bool {
	w.mu.Lock()
	batch := slices.Collect(maps.Values(w.waiting))
	dropped := w.dropped
	clear(w.waiting)
	w.dropped = 0
	w.mu.Unlock()
	if dropped > 0 {
		w.log.Warn("statistics: too many streams wait", "dropped", dropped)
	}
	if len(batch) == 0 {
		return failing
	}
	err := w.store.SaveStats(ctx, batch)
	switch {
	case err != nil && ctx.Err() == nil && !failing:
		w.log.Error("statistics cannot be written: they wait", "error", err)
	case err == nil && failing:
		w.log.Info("statistics are written again")
	}
	if err != nil {
		w.putBack(batch)
	}
	return err != nil
}

// putBack lets a batch wait again, but for streams of which there is something newer.
func (w *StatsWriter) putBack(batch []StreamStats) {
	for _, one := range batch {
		w.Put(one)
	}
}
