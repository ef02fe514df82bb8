// What a person at a terminal sees: one line that is drawn over every second, below the log, and
// the sums at the end. Where stderr is no terminal there is the log alone.

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/pipeline"
)

// eraseLine goes to the beginning of a terminal's line and empties it (ECMA-48, EL).
const eraseLine = "\r\x1b[K"

// A liveLine is a terminal with a line at its bottom. Log lines go through it, so that they push
// the line down and do not run into it. mu is held while the terminal is written to, and nothing
// else is called under it.
type liveLine struct {
	terminal io.Writer
	columns  func() int // how wide it is now

	mu   sync.Mutex
	line string // what is drawn; "" when nothing is
}

// newLiveLine gives nil if w is no terminal that can draw over a line.
func newLiveLine(w io.Writer) *liveLine {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return nil
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return nil
	}
	return &liveLine{terminal: f, columns: func() int {
		size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
		if err != nil || size.Col == 0 {
			return 80
		}
		return int(size.Col)
	}}
}

// Write writes log lines above the line.
func (l *liveLine) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.line == "" {
		return l.terminal.Write(b)
	}
	var all bytes.Buffer
	all.WriteString(eraseLine)
	all.Write(b)
	if bytes.HasSuffix(b, []byte("\n")) {
		all.WriteString(l.line)
	}
	if _, err := l.terminal.Write(all.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// draw puts text in the place of the line; "" takes the line away. It is cut to the terminal's
// width: a line that wraps could not be drawn over.
func (l *liveLine) draw(text string) {
	if most := max(l.columns()-1, 0); len(text) > most { // ASCII
		text = text[:most]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if text == l.line {
		return
	}
	l.line = text
	_, _ = io.WriteString(l.terminal, eraseLine+text) // a terminal that is gone: the log says so
}

// start shows what stages counts in a goroutine of its own, until the function that it gives is
// called: that prints the sums.
func (l *liveLine) start(stages *pipeline.Stages) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	tick := time.NewTicker(liveInterval)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.show(ctx, stages, tick.C)
	}()
	return func() {
		cancel()
		<-done
		tick.Stop()
	}
}

// show draws what stages counts, once for each tick, until ctx ends; then it takes the line away
// and prints the sums, if there is something to sum up.
func (l *liveLine) show(ctx context.Context, stages *pipeline.Stages, tick <-chan time.Time) {
	var p progress
	p.last = countsOf(stages)
	for {
		select {
		case <-ctx.Done():
			p.add(countsOf(stages), 0)
			l.draw("")
			if p.last.frames > 0 { // else the error that ended it says it all
				fmt.Fprintln(l, p.sums())
			}
			return
		case <-tick:
			l.draw(p.add(countsOf(stages), liveInterval))
		}
	}
}

// liveInterval is the time between two drawings.
const liveInterval = time.Second

// counts are those of a stream that a person can use.
type counts struct {
	frames, keyFrames, bytes int64 // sent
	left                     int64 // out, for whatever reason
	unreadable, rate         int64
}

func countsOf(s *pipeline.Stages) counts {
	return counts{
		frames: s.Frames.Load(), keyFrames: s.KeyFrames.Load(), bytes: s.Bytes.Load(),
		left:       s.Shed.Load() + s.Replaced.Load() + s.Held.Load() + s.Skipped.Load(),
		unreadable: s.Unreadable.Load(), rate: s.Rate.Load(),
	}
}

// A progress is what was sent so far.
type progress struct {
	last   counts
	active time.Duration // in which something was sent
	silent time.Duration // since then
}

// add takes the counts of now, an interval after the last ones, and gives the line.
func (p *progress) add(now counts, interval time.Duration) string {
	before := p.last
	p.last = now
	frames := now.frames - before.frames
	if frames == 0 {
		p.silent += interval
		if now.frames == 0 {
			return fmt.Sprintf("nothing is sent yet, %s", clockText(p.silent))
		}
		return fmt.Sprintf("nothing is sent for %s; before: %s", clockText(p.silent), p.sums())
	}
	p.silent = 0
	p.active += interval
	line := fmt.Sprintf("streaming %s  %d pictures/s  %d kbit/s", clockText(p.active),
		frames*int64(time.Second)/int64(max(interval, 1)), (now.bytes-before.bytes)*8/1000)
	if now.rate > 0 {
		line += fmt.Sprintf(" of %d that the network allows", now.rate/1000)
	}
	if n := now.left - before.left; n > 0 {
		line += fmt.Sprintf("  %d left out", n)
	}
	if n := now.unreadable - before.unreadable; n > 0 {
		line += fmt.Sprintf("  %d damaged", n)
	}
	return line
}

// sums says what was sent in all.
func (p *progress) sums() string {
	if p.last.frames == 0 {
		return "nothing was sent"
	}
	seconds := max(p.active, liveInterval).Seconds()
	parts := []string{fmt.Sprintf("%d pictures (%d key frames), %.1f MB in %s: %.1f pictures/s, %.0f kbit/s",
		p.last.frames, p.last.keyFrames, float64(p.last.bytes)/1e6, clockText(p.active),
		float64(p.last.frames)/seconds, float64(p.last.bytes)*8/1000/seconds)}
	if p.last.left > 0 {
		parts = append(parts, fmt.Sprintf("%d left out", p.last.left))
	}
	if p.last.unreadable > 0 {
		parts = append(parts, fmt.Sprintf("%d damaged", p.last.unreadable))
	}
	return strings.Join(parts, ", ")
}

// clockText is "1:02:03", or "2:03" below an hour.
func clockText(d time.Duration) string {
	s := int(d.Seconds())
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
