// Progress, for whoever waits: a line a second at most.

package main

import (
	"fmt"
	"io"
	"time"
)

const progressInterval = time.Second

// A progress is told how many bytes of a step are done.
type progress func(step string, done, total int64)

// printProgress prints the first and the last line of a step, and one a second in between.
func printProgress(w io.Writer, now func() time.Time) progress {
	var last time.Time
	step, ended := "", false
	return func(name string, done, total int64) {
		if name == step && (ended || done < total && now().Sub(last) < progressInterval) {
			return
		}
		step, ended, last = name, done >= total, now()
		fmt.Fprintf(w, "slotwriter PROGRESS step=%s done=%d total=%d\n", name, done, total)
	}
}
