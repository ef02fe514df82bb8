// Table: results for people and for programs.

package losslab

import (
	"encoding/json"
	"fmt"
	"io"
)

const row = "%-16s %-10s %5v %14s %6s %7s %7s %7s %7s %7s %6s %7s %7s %7s %6s\n"

// Heading is the first line of the table.
func Heading() string {
	return fmt.Sprintf(row, "scenario", "sender", "seed", "decoded/sent", "%", "intact", "p50 ms", "p95 ms", "max ms", "freeze", "lost", "resent", "kbit/s", "q>300", "back s")
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
	return fmt.Sprintf(row, r.Scenario, r.Sender, r.Seed, fmt.Sprintf("%d/%d", r.Decoded, r.Sent), fmt.Sprintf("%.1f", 100*r.Share), fmt.Sprint(r.Intact),
		ms(r.P50), ms(r.P95), ms(r.Max), ms(r.Freeze), fmt.Sprintf("%.1f%%", 100*float64(r.Lost)/float64(max(r.Packets, 1))), fmt.Sprint(r.Resends),
		fmt.Sprintf("%.0f", r.Rate/1000), over, back)
}

// WriteJSON writes one line for the result, series included.
func (r Result) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
