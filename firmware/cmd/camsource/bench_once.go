// A board's own bench: nobody can log in to type `camsource bench`, so the configuration
// asks for it.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/krazycam/krazycam/firmware/bench"
	"github.com/krazycam/krazycam/firmware/machine"
)

// maxStarts is how many starts may end in the same row. A row that kills the program, or
// takes longer than the power ever stays on, must not keep a board from streaming.
const maxStarts = 3

// benchOnce measures what c asks for, unless the file at path holds it, and goes on where
// the power failed. Progress goes to lines, and at the end the table and one line for
// machines, which camctl bench waits for: "camsource BENCH {…}", a result file. An error is
// printed there, too: a board must stream all the same.
func benchOnce(ctx context.Context, c bench.Config, path string, lines io.Writer) {
	say := func(a ...any) { fmt.Fprintln(lines, append([]any{"bench:"}, a...)...) }
	c.Version = version
	kept, _ := bench.Load(path) // none, or one that cannot be read: from the start
	report := c.Begin(kept)
	switch a := report.Attempt; {
	case a != nil && a.Starts >= maxStarts:
		say(fmt.Sprintf("given up: %d starts ended in %v speed %d threads %d; ask for other rows",
			a.Starts, a.Row.Size, a.Row.Speed, a.Row.Threads))
	case a != nil:
		if n := len(report.Rows); n > 0 {
			say("going on behind the rows that were measured before:", n)
		}
		var err error
		if report, err = measureBoard(ctx, c, report, path, say); err != nil {
			say(err)
		}
		debug.FreeOSMemory() // up to 64 MB of pictures
	}
	if ctx.Err() == nil && len(report.Rows) > 0 {
		printResult(lines, report)
	}
}

// measureBoard keeps each row at once. A card that takes none does not end it.
func measureBoard(
	ctx context.Context, c bench.Config, r bench.Report, path string, say func(...any),
) (bench.Report, error) {
	_ = machine.CalmMonitor() // as when it streams, where the error is logged
	complained := false
	keep := func(r bench.Report) {
		if err := r.Save(path); err != nil && !complained {
			complained = true
			say("the result is not kept:", err)
		}
	}
	c.Progress = func(s string) { say(s) }
	c.Measured = func(r bench.Report) error {
		keep(countStart(r))
		return nil
	}
	r = countStart(r)
	keep(r)
	return c.Resume(ctx, r)
}

// countStart counts a start at the row that comes next, before that row may end it.
func countStart(r bench.Report) bench.Report {
	if r.Attempt != nil {
		r.Attempt = &bench.Attempt{Row: r.Attempt.Row, Starts: r.Attempt.Starts + 1}
	}
	return r
}

// printResult writes all at once: what other programs write to the console comes before or
// after it.
func printResult(lines io.Writer, r bench.Report) {
	var b bytes.Buffer
	_ = r.Print(&b) // a buffer takes it
	b.WriteString("camsource BENCH ")
	if err := json.NewEncoder(&b).Encode(r); err != nil {
		fmt.Fprintln(lines, "bench:", err)
		return
	}
	_, _ = lines.Write(b.Bytes()) // without a console there is nobody to report to
}
