// A board's own bench: nobody can log in to type `camsource bench`, so the configuration
// asks for it.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/krazycam/krazycam/firmware/bench"
	"github.com/krazycam/krazycam/firmware/machine"
)

// benchOnce measures what c asks for, unless the file at path holds the result, or says that
// an earlier start began and did not end: what ended that one could end this one too, and a
// board must stream. Progress goes to lines, and at the end the table and one line for
// machines, which camctl bench waits for: "camsource BENCH {…}", a result file. An error is
// printed there, too.
func benchOnce(ctx context.Context, c bench.Config, path string, lines io.Writer) {
	c.Version = version
	c.Progress = func(s string) { fmt.Fprintln(lines, "bench:", s) }
	begun := c.Begun()
	kept, _ := bench.Load(path) // none, or one that cannot be read: measure
	switch {
	case !kept.Answers(begun):
		measureBoard(ctx, c, begun, path, lines)
	case kept.Interrupted:
		c.Progress("interrupted at an earlier start, and not begun again: to measure, remove " + path +
			" or change section bench of krazycam.json, such as its frames")
	default:
		printResult(lines, kept)
	}
}

// measureBoard keeps at path that it has begun, and then the result. Where the first fails it
// does not begin: a bench that ends the program would do so at each start. Told to end, as
// before a reboot or an update, it leaves nothing at path: the next start measures.
func measureBoard(ctx context.Context, c bench.Config, begun bench.Report, path string, lines io.Writer) {
	if err := begun.Save(path); err != nil {
		fmt.Fprintln(lines, "bench: not begun, because the next start could not know of it:", err)
		return
	}
	_ = machine.CalmMonitor() // as when it streams, where the error is logged
	report, err := bench.Run(ctx, c)
	debug.FreeOSMemory() // up to 64 MB of pictures
	switch {
	case err == nil && !report.Interrupted:
		err = report.Save(path)
	case ctx.Err() != nil:
		err = os.Remove(path)
	}
	if err != nil {
		fmt.Fprintln(lines, "bench: the result is not kept:", err)
	}
	if ctx.Err() == nil && len(report.Rows) > 0 {
		printResult(lines, report)
	}
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
