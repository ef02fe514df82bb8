// How far long work is: a bar on a terminal, a line for each tenth anywhere else.

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A reporter is told how far a step is: done of total bytes.
type reporter func(step string, done, total int64)

// progress reports to w, a verb's stderr.
func progress(w io.Writer) reporter {
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return bar(w, time.Now)
		}
	}
	return tenths(w)
}

// tenths prints a line for each tenth of a step.
func tenths(w io.Writer) reporter {
	var lastStep string
	var lastTenth int64
	return func(step string, done, total int64) {
		tenth := done * 10 / max(total, 1)
		if step == lastStep && tenth == lastTenth {
			return
		}
		lastStep, lastTenth = step, tenth
		fmt.Fprintf(w, "%s: %d %%, %d of %d MiB\n", step, tenth*10, done>>20, total>>20)
	}
}

const (
	barCells = 20
	barPause = 100 * time.Millisecond // between two pictures of it
)

// bar draws one line for each step, over itself, with the rate and the time that is left.
func bar(w io.Writer, now func() time.Time) reporter {
	var lastStep string
	var began, drawn time.Time
	return func(step string, done, total int64) {
		at := now()
		if step != lastStep {
			lastStep, began, drawn = step, at, time.Time{}
		}
		if done < total && at.Sub(drawn) < barPause {
			return
		}
		drawn = at
		end := "\r"
		if done >= total {
			end = "\n"
		}
		cells := int(done * barCells / max(total, 1))
		// 12 + 1 + 22 + 1 + 4 + 39 = 79 columns
		rest := fmt.Sprintf(" %d of %d MiB%s", done>>20, total>>20, pace(done, total, at.Sub(began)))
		fmt.Fprintf(w, "%-12s [%-*s] %3d%%%-39s%s",
			step, barCells, strings.Repeat("#", cells), done*100/max(total, 1), rest, end)
	}
}

// pace is ", 12 MiB/s, 0:43 left"; nothing at first, when it would be a guess.
func pace(done, total int64, took time.Duration) string {
	if took < time.Second || done == 0 {
		return ""
	}
	rate := float64(done) / took.Seconds()
	left := time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf(", %.0f MiB/s, %d:%02d left", rate/(1<<20), int(left.Minutes()), int(left.Seconds())%60)
}
