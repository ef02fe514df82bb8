// How an update goes on: one line that changes on a terminal, a line for each step and tenth elsewhere.

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/krazycam/krazycam/gokrazy/remote"
)

// An updateShow draws the progress of one board.
type updateShow struct {
	w     io.Writer
	host  string
	bytes reporter
	live  bool // a terminal
	last  string
	open  bool // a line without its end
}

func updateProgress(w io.Writer, host string) *updateShow {
	f, ok := w.(*os.File)
	return &updateShow{w: w, host: host, bytes: progress(w), live: ok && term.IsTerminal(int(f.Fd()))}
}

// step shows one step. What the board says goes through printable.
func (u *updateShow) step(p remote.Progress) {
	if p.Unit == remote.Bytes {
		u.end()
		u.bytes(p.Step, int64(p.Done), int64(p.Total))
		return
	}
	line := fmt.Sprintf("%s: %s", u.host, p.Step)
	if p.Text != "" {
		line += ": " + printable(p.Text)
	}
	coarse := line
	if p.Total > 0 {
		held := time.Duration(p.Done) * time.Second
		line += fmt.Sprintf(", for %v of %v", held, time.Duration(p.Total)*time.Second)
	}
	switch {
	case u.live:
		fmt.Fprintf(u.w, "\r%-78.78s", line)
		u.open = true
	case coarse != u.last:
		fmt.Fprintln(u.w, line)
	}
	u.last = coarse
}

// end ends a line that is being drawn.
func (u *updateShow) end() {
	if u.open {
		fmt.Fprintln(u.w)
		u.open = false
	}
}
