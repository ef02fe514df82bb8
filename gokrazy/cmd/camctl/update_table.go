// What an owner sees of an update of many boards: on a terminal a table of those that it is at, and a
// line for each that has ended; elsewhere a line for each step; with --json one object a board.

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/krazycam/krazycam/gokrazy/fleet"
	"github.com/krazycam/krazycam/gokrazy/remote"
)

// tableWidth is the columns of a line: a longer one would be two, and the table could not be drawn over.
const tableWidth = 79

// A fleetShow belongs to one goroutine.
type fleetShow struct {
	out   *json.Encoder // nil: not --json
	w     io.Writer
	live  bool // a terminal
	total int
	now   func() time.Time

	ends  map[fleet.Step]int
	at    map[string]string     // what each board is at, by host
	steps map[string]fleet.Step // the last that was written, where it is no terminal
	lines int                   // of the table on the screen
	drawn time.Time
}

func newFleetShow(cmd *cobra.Command, asJSON bool, total int) *fleetShow {
	s := &fleetShow{w: cmd.ErrOrStderr(), total: total, now: time.Now,
		ends: map[fleet.Step]int{}, at: map[string]string{}, steps: map[string]fleet.Step{}}
	if asJSON {
		s.out = json.NewEncoder(cmd.OutOrStdout())
	}
	if f, ok := s.w.(*os.File); ok {
		s.live = term.IsTerminal(int(f.Fd()))
	}
	return s
}

// report takes a step of a board, or its progress.
func (s *fleetShow) report(row fleet.Row, p remote.Progress) {
	if !row.Step.IsEnd() {
		s.at[row.Host] = describeProgress(row, p)
		if s.live {
			s.draw(false)
		} else if s.steps[row.Host] != row.Step {
			s.steps[row.Host] = row.Step
			fmt.Fprintf(s.w, "%s: %s\n", row.Host, row.Step)
		}
		return
	}
	delete(s.at, row.Host)
	delete(s.steps, row.Host)
	s.ends[row.Step]++
	if s.out != nil {
		_ = s.out.Encode(row) // a closed stdout ends us by SIGPIPE
	}
	s.erase()
	fmt.Fprintln(s.w, describeEnd(row))
	if s.live {
		s.draw(true)
	}
}

// describeEnd is the line of a board that has ended.
func describeEnd(row fleet.Row) string {
	line := fmt.Sprintf("%s: %s", row.Host, row.Step)
	switch {
	case row.Reason != "":
		line += ": " + printable(row.Reason)
	case row.Seconds > 0:
		line += fmt.Sprintf(": %.1f MB sent, %.0f s", float64(row.Sent)/1e6, row.Seconds)
	}
	return line
}

// describeProgress is a board's line in the table.
func describeProgress(row fleet.Row, p remote.Progress) string {
	if p.Step == "" {
		return string(row.Step)
	}
	text := p.Step
	switch {
	case p.Unit == remote.Bytes && p.Total > 0:
		text += fmt.Sprintf(" %3.0f %% of %.1f MB", 100*p.Done/p.Total, p.Total/1e6)
	case p.Total > 0:
		text += fmt.Sprintf(" for %.0f of %.0f s", p.Done, p.Total)
	}
	if p.Text != "" {
		text += ": " + printable(p.Text)
	}
	return text
}

// draw draws the table over itself, ten times a second at most.
func (s *fleetShow) draw(must bool) {
	now := s.now()
	if !must && now.Sub(s.drawn) < barPause {
		return
	}
	s.drawn = now
	s.erase()
	for _, host := range slices.Sorted(maps.Keys(s.at)) {
		fmt.Fprintln(s.w, cutLine(fmt.Sprintf("  %-28s %s", host, s.at[host])))
		s.lines++
	}
	fmt.Fprintln(s.w, cutLine(s.sums()))
	s.lines++
}

func (s *fleetShow) erase() {
	if s.lines > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA\x1b[J", s.lines) // up, and clear what is below
		s.lines = 0
	}
}

func cutLine(line string) string {
	if r := []rune(line); len(r) > tableWidth {
		return string(r[:tableWidth-1]) + "…"
	}
	return line
}

// sums is one line: "17 of 20 boards: 14 promoted, 3 fell back".
func (s *fleetShow) sums() string {
	done := 0
	var parts []string
	for _, step := range []fleet.Step{
		fleet.Promoted, fleet.Already, fleet.FellBack, fleet.NotJudged, fleet.GivenUp,
		fleet.Unknown, fleet.Failed,
	} {
		if n := s.ends[step]; n > 0 {
			done += n
			parts = append(parts, fmt.Sprintf("%d %s", n, step))
		}
	}
	line := fmt.Sprintf("%d of %d boards", done, s.total)
	if len(parts) > 0 {
		line += ": " + strings.Join(parts, ", ")
	}
	return line
}

// end takes the table away and writes the sums.
func (s *fleetShow) end(summary fleet.Summary) {
	s.erase()
	fmt.Fprintln(s.w, s.sums())
	if s.out == nil {
		return
	}
	_ = s.out.Encode(struct {
		IsSummary bool `json:"summary"`
		fleet.Summary
	}{true, summary})
}
