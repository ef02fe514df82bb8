//go:build linux

// The table: results for people and for programs.

package losslab

import (
	"encoding/json"
	"fmt"
	"io"
)

const tableRow = "%-15s %-13s %4v %9s %7s %7s %8s %7s %7s %7s %7s %7s %4s %6s %6s %5s %4s %7s %7s %6s\n"

// TableHeading is the first line of the table.
func TableHeading() string {
	return fmt.Sprintf(tableRow, "scenario", "sender", "seed", "sent", "shown", "read", "intact",
		"p50 ms", "p95 ms", "max ms", "age95", "freeze", "keys", "lost", "again", "NACK", "PLI",
		"kbit/s", "q>300", "back s")
}

// String is one line of the table.
func (r Result) String() string {
	over, back := "-", "-"
	if b := r.Bottleneck; b != nil {
		over, back = fmt.Sprintf("%.1f s", b.Over), fmt.Sprintf("%.1f", b.Back)
		if b.Back < 0 {
			back = "never"
		}
	}
	ms := func(s float64) string { return fmt.Sprintf("%.0f", s*1000) }
	percent := func(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }
	return fmt.Sprintf(tableRow,
		r.Scenario, r.Sender, r.Seed, fmt.Sprintf("%d/%d", r.Sent, r.Source),
		percent(r.ShownShare()), percent(float64(r.Decoded)/float64(max(r.Sent, 1))), percent(r.IntactShare()),
		ms(r.P50), ms(r.P95), ms(r.Max), ms(r.Age95), ms(r.Freeze), fmt.Sprint(r.Keys),
		percent(float64(r.Lost)/float64(max(r.Packets, 1))), fmt.Sprint(r.Resends),
		fmt.Sprint(r.Feedback.NACKs), fmt.Sprint(r.Feedback.PLIs), fmt.Sprintf("%.0f", r.Rate/1000), over, back)
}

// describeRun says the same in words.
func (r Result) describeRun() string {
	s := fmt.Sprintf("%s, %s, seed %d: %.1f %% of %d pictures decoded, %.1f %% intact, ",
		r.Scenario, r.Sender, r.Seed, 100*r.ShownShare(), r.Sent, 100*r.IntactShare())
	s += fmt.Sprintf("delay p50 %.0f p95 %.0f max %.0f ms, age p95 %.0f ms, longest freeze %.0f ms, ",
		1000*r.P50, 1000*r.P95, 1000*r.Max, 1000*r.Age95, 1000*r.Freeze)
	s += fmt.Sprintf("%d key frames, %d of %d packets lost, %d sent again, %.0f kbit/s",
		r.Keys, r.Lost, r.Packets, r.Resends, r.Rate/1000)
	if b := r.Bottleneck; b != nil {
		s += fmt.Sprintf(", queue over 300 ms for %.1f s, back at 90 %% of %.0f kbit/s after %.1f s",
			b.Over, b.Before/1000, b.Back)
	}
	return s
}

// WriteJSON writes one line for the result, series included.
func (r Result) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
