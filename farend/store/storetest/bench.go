// How fast an engine is.

package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
)

// Benchmark measures what a gateway does all day.
func Benchmark(b *testing.B, open Opener) {
	s := open(b)
	c := customer(b, s, "anna")
	many := store.SourceLimits{Max: 1 << 30}
	const sources = 100
	var boards []store.Source
	var stats []store.StreamStats
	for i := range sources {
		board := get[store.Source](b)(s.AddSource(b.Context(), c.ID, many, noon))
		begin(b, s, granted(streamID(i), board), noon)
		boards = append(boards, board)
		stats = append(stats, store.StreamStats{Stream: streamID(i), Stats: busy(1000), At: noon})
	}
	other := get[store.Source](b)(s.AddSource(b.Context(), c.ID, many, noon))
	n := 0
	for _, one := range []struct {
		name string
		do   func() error
	}{
		{"AddSource", func() error {
			_, err := s.AddSource(b.Context(), c.ID, many, noon)
			return err
		}},
		{"BeginStream and EndStream", func() error {
			n++
			id := fmt.Sprintf("b%d", n)
			if err := s.BeginStream(b.Context(), granted(id, other), 1000, noon); err != nil {
				return err
			}
			return s.EndStream(b.Context(), id, "over", at(time.Second))
		}},
		{"TouchStream", func() error {
			n++
			return s.TouchStream(b.Context(), streamID(n%sources), noon)
		}},
		{"SourceByID", func() error {
			n++
			_, err := s.SourceByID(b.Context(), boards[n%sources].ID)
			return err
		}},
		{"ActiveStream", func() error {
			n++
			_, err := s.ActiveStream(b.Context(), boards[n%sources].ID)
			return err
		}},
		{"SaveStats of 100 streams", func() error { return s.SaveStats(b.Context(), stats) }},
	} {
		b.Run(one.name, func(b *testing.B) {
			for b.Loop() {
				ok(b, one.do())
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "per_s")
		})
	}
}
