// A board's own bench: nobody can log in to type `camsource bench`, so the configuration asks for it.

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

// mostTries is how many starts may end in the same row: one that kills the program, or
// takes longer than the power ever stays, must not keep a board from streaming.
const mostTries = 3

// benchOnce measures what c asks for, unless the file at path holds it, and goes on where
// the power failed. Progress goes to lines, and at the end the table and one line for
// machines: "camsource BENCH {…}", a result file, which camctl bench waits for. What goes
// wrong is told there too: a board must stream all the same.
func benchOnce(ctx context.Context, c bench.Config, path string, lines io.Writer) {
	say := func(a ...any) { fmt.Fprintln(lines, append([]any{"bench:"}, a...)...) }
	c.Version = version
	kept, _ := bench.Load(path) // none, or one that cannot be read: from the start
	report := c.Begin(kept)
	switch a := report.Attempt; {
	case a != nil && a.Starts >= mostTries:
		say(fmt.Sprintf("given up: %d starts ended in %v speed %d threads %d; ask for other rows", a.Starts, a.Row.Size, a.Row.Speed, a.Row.Threads))
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
		tell(lines, report)
	}
}

// measureBoard keeps each row at once. A card that takes none does not end it.
func measureBoard(ctx context.Context, c bench.Config, r bench.Report, path string, say func(...any)) (bench.Report, error) {
	_ = machine.CalmMonitor() // as when it streams, which tells why not
	told := false
	keep := func(r bench.Report) error {
		if err := r.Save(path); err != nil && !told {
			told = true
			say("the result is not kept:", err)
		}
		return nil
	}
	c.Progress = func(s string) { say(s) }
	c.Measured = func(r bench.Report) error { return keep(begun(r)) }
	r = begun(r)
	_ = keep(r) // has been told
	return c.Resume(ctx, r)
}

// begun counts a start at the row that comes next, before that may end it.
func begun(r bench.Report) bench.Report {
	if r.Attempt != nil {
		r.Attempt = &bench.Attempt{Row: r.Attempt.Row, Starts: r.Attempt.Starts + 1}
	}
	return r
}

// tell writes all at once: what other programs write to the console comes before or after.
func tell(lines io.Writer, r bench.Report) {
	var b bytes.Buffer
	_ = r.Print(&b) // memory takes it
	b.WriteString("camsource BENCH ")
	if err := json.NewEncoder(&b).Encode(r); err != nil {
		fmt.Fprintln(lines, "bench:", err)
		return
	}
	_, _ = lines.Write(b.Bytes()) // nobody is told if the console is gone
}
