// Package history keeps the last ten minutes of each stream of this process: one row a second, for the
// CSV of a run and for charts.
//
// A History reads a receiver's statistics and owns one goroutine while Run runs. Its memory is bounded: at
// most RowsMax rows a stream and streamsMax streams. A row is 88 bytes, ten minutes of a stream are
// 58 kB. Time is passed in.
package history

import (
	"context"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
)

const (
	// Interval is the time between two rows of a stream.
	Interval = time.Second
	// RowsMax rows of a stream are kept: ten minutes.
	RowsMax = 600
	// endedKeep is how long the rows of a stream are kept after its end: somebody who looks into why it
	// ended has as long as the rows would have lasted.
	endedKeep = RowsMax * Interval
	// streamsMax bounds the memory to 232 MB, whatever starts and stops. Those that ended longest
	// ago go first; beyond it a stream has no history.
	streamsMax = 4000
)

// A Live has the streams that run in this process; a receiver is one.
type Live interface {
	// AllStats appends the statistics of all streams.
	AllStats(to []stream.Named) []stream.Named
}

// A History is safe for use by several goroutines.
type History struct {
	live Live

	mu    sync.Mutex // guards what follows; nothing is called under it
	runs  map[string]*run
	named []stream.Named // of the last Sample, for use again
}

// A run is one stream: a ring of its rows.
type run struct {
	rows  []Row // a ring once it is full
	next  int   // in a full ring: the oldest row, the next one to go
	ended bool
}

// New makes a History of what live has.
func New(live Live) *History { return &History{live: live, runs: map[string]*run{}} }

// Run samples once an Interval until ctx ends.
func (h *History) Run(ctx context.Context) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			h.Sample(now)
		}
	}
}

// Sample keeps one row of each stream. It is called by one goroutine at a time.
func (h *History) Sample(now time.Time) {
	named := h.live.AllStats(h.named[:0])
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.runs {
		r.ended = true // until it is found among named
	}
	for i := range named {
		r := h.runs[named[i].ID]
		if r == nil {
			if r = h.begin(named[i].ID); r == nil {
				continue
			}
		}
		r.ended = false
		r.put(MakeRow(&named[i].Stats, now))
	}
	for id, r := range h.runs {
		if r.ended && now.Sub(r.last().At()) >= endedKeep {
			delete(h.runs, id)
		}
	}
	clear(named) // it holds the strings of streams that end
	h.named = named
}

// begin makes room for a stream; nil: there is none.
func (h *History) begin(id string) *run {
	if len(h.runs) >= streamsMax && !h.forgetOldest() {
		return nil
	}
	r := &run{}
	h.runs[id] = r
	return r
}

// forgetOldest drops the stream that ended longest ago, if one has ended.
func (h *History) forgetOldest() bool {
	oldest := ""
	for id, r := range h.runs {
		if r.ended && len(r.rows) > 0 && (oldest == "" || r.last().ms < h.runs[oldest].last().ms) {
			oldest = id
		}
	}
	delete(h.runs, oldest)
	return oldest != ""
}

func (r *run) put(row Row) {
	if len(r.rows) < RowsMax {
		if len(r.rows) == cap(r.rows) { // append would take half as much again as is ever used
			rows := make([]Row, len(r.rows), min(max(2*len(r.rows), 30), RowsMax))
			copy(rows, r.rows)
			r.rows = rows
		}
		r.rows = append(r.rows, row)
		return
	}
	r.rows[r.next] = row
	r.next = (r.next + 1) % RowsMax
}

func (r *run) last() *Row {
	if len(r.rows) < RowsMax {
		return &r.rows[len(r.rows)-1]
	}
	return &r.rows[(r.next+RowsMax-1)%RowsMax]
}

// Rows appends what is kept of a stream, the oldest first.
func (h *History) Rows(id string, to []Row) []Row {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.runs[id]
	if r == nil {
		return to
	}
	to = append(to, r.rows[r.next:]...)
	return append(to, r.rows[:r.next]...)
}
