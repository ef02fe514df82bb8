// A board's own bench: nobody can log in to type `camsource bench`, so the configuration asks for it.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/krazycam/krazycam/firmware"
	"github.com/krazycam/krazycam/firmware/bench"
)

// benchOnce measures the board unless the result of this version lies in the folder
// state already. Progress and the table go to lines, and at the end one line for
// machines: "camsource BENCH {…}", a result file, which camctl bench waits for. What
// goes wrong is told there too: a board must stream all the same.
func benchOnce(ctx context.Context, c bench.Config, state string, lines io.Writer) {
	path := filepath.Join(state, "bench.json")
	report, err := bench.Load(path)
	if err != nil || report.Version != version || report.Interrupted {
		_ = firmware.CalmMonitor() // as when it streams, which tells why not
		c.Version = version
		c.Progress = func(s string) { fmt.Fprintln(lines, "bench:", s) }
		if report, err = bench.Run(ctx, c); err == nil && len(report.Rows) > 0 {
			err = report.Save(path)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			fmt.Fprintln(lines, "bench:", err)
		}
	}
	if len(report.Rows) == 0 {
		return
	}
	_ = report.Print(lines) // nobody is told if the console is gone
	if b, err := json.Marshal(report); err == nil {
		fmt.Fprintf(lines, "camsource BENCH %s\n", b)
	}
}
