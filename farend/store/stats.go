// Statistics of streams: many small changes, which one goroutine writes in batches.

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
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

// ErrStats says that JSON cannot hold some statistics, such as NaN.
var ErrStats = errors.New("statistics that cannot be kept")

// statsChunk is how many streams one statement changes: with a database far away, the way there and back
// counts, and there are 1,000 streams.
const statsChunk = 100

// A statsRow is what is kept of a stream.
type statsRow struct {
	id, stats string
	at        int64
}

// SaveStats keeps a batch in one transaction, of active streams and of ended ones. They replace those of
// before, whatever their times: clocks are set back. Those of a stream that is unknown are left out.
// ErrStats: some cannot be kept, and the others are.
func (s *Store) SaveStats(ctx context.Context, batch []StreamStats) error {
	all, odd := statsRows(batch)
	err := s.change(ctx, "save stats", func(ctx context.Context, tx *sql.Tx) error {
		for some := range slices.Chunk(all, statsChunk) {
			if err := updateStats(ctx, tx, some); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return odd
}

// statsRows gives one row for each stream, the last of the batch, in the order of the IDs: all who write several
// streams do so in one order, so that none waits for another in a circle.
func statsRows(batch []StreamStats) (all []statsRow, odd error) {
	for _, one := range batch {
		b, err := json.Marshal(one.Stats)
		if err != nil {
			odd = fmt.Errorf("store: save stats of %s: %w: %w", one.Stream, ErrStats, err)
			continue
		}
		all = append(all, statsRow{storable(one.Stream), storable(string(b)), micros(one.At)})
	}
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b statsRow) int { return strings.Compare(a.id, b.id) })
	return slices.CompactFunc(all, func(a, b statsRow) bool { return a.id == b.id }), odd
}

// updateStats is one statement for some streams. Both engines name the columns of VALUES column1 and so on
// (sqlite.org/lang_select.html, section "values"; PostgreSQL 15 manual, section 7.7).
func updateStats(ctx context.Context, tx *sql.Tx, some []statsRow) error {
	var values strings.Builder
	var args []any
	for i, one := range some {
		if i > 0 {
			values.WriteString(", ")
		}
		fmt.Fprintf(&values, "($%d, $%d, CAST($%d AS BIGINT))", 3*i+1, 3*i+2, 3*i+3)
		args = append(args, one.id, one.stats, one.at)
	}
	return execOne(ctx, tx, nil, `UPDATE streams SET stats = v.column2, stats_at = v.column3
		FROM (VALUES `+values.String()+`) AS v WHERE streams.id = v.column1`, args...)
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
	odd      bool // logged; of Run

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
	err := w.save(ctx, batch)
	switch {
	case err != nil && ctx.Err() == nil && !failing:
		w.log.Error("statistics cannot be written: they wait", "error", err)
	case err == nil && failing:
		w.log.Info("statistics are written again")
	}
	return err != nil
}

// save writes a batch in parts, each in a transaction of its own: what one keeps stays kept, whatever
// becomes of the others. What fails waits again, and behind a database that is gone all that is left.
func (w *StatsWriter) save(ctx context.Context, batch []StreamStats) (failed error) {
	for some := range slices.Chunk(batch, statsChunk) {
		if errors.Is(failed, ErrUnavailable) {
			w.putBack(some)
			continue
		}
		err := w.store.SaveStats(ctx, some)
		switch {
		case errors.Is(err, ErrStats): // the others are kept
			w.noteOdd(err)
		case err != nil:
			w.putBack(some)
			failed = err
		}
	}
	return failed
}

// noteOdd logs the first statistics that cannot be kept: a defect of ours, which the next second repeats.
func (w *StatsWriter) noteOdd(err error) {
	if !w.odd {
		w.log.Error("statistics of a stream are left out", "error", err)
	}
	w.odd = true
}

// putBack lets a batch wait again, but for streams of which there is something newer.
func (w *StatsWriter) putBack(batch []StreamStats) {
	for _, one := range batch {
		w.Put(one)
	}
}
