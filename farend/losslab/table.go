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

// WriteJSON writes one line for the result, series included.
func (r Result) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
