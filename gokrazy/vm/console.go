// The serial console as lines with the time at which each came. No process is needed to
// test it.

package vm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
)

// maxLineBytes and maxLines bound the memory that a guest can make us use.
const (
	maxLineBytes = 4096
	maxLines     = 100_000
)

// A Line is one line of the serial console, without its end.
type Line struct {
	At   time.Time // when its end came
	Text string
}

// A console collects what QEMU writes to its serial port.
type console struct {
	raw io.Writer // may be nil

	mu      sync.Mutex
	lines   []Line
	partial []byte
	seen    int           // lines that a WaitLine has passed
	changed chan struct{} // closed and replaced when a line comes
	closed  bool
}

func newConsole(raw io.Writer) *console {
	return &console{raw: raw, changed: make(chan struct{})}
}

// Write takes bytes of the serial port. A failing raw writer does not stop the guest.
func (c *console) Write(b []byte) (int, error) {
	if c.raw != nil {
		_, _ = c.raw.Write(b)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for rest := b; len(rest) > 0; {
		text, after, whole := bytes.Cut(rest, []byte{'\n'})
		if room := maxLineBytes - len(c.partial); len(text) > room {
			text = text[:room]
		}
		c.partial = append(c.partial, text...)
		if whole {
			c.keepLine()
		}
		rest = after
	}
	return len(b), nil
}

// cutLine ends a line that was cut off by a reset and, if text is not empty, adds one.
func (c *console) cutLine(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.partial) > 0 {
		c.keepLine()
	}
	if text != "" {
		c.partial = append(c.partial, text...)
		c.keepLine()
	}
}

func (c *console) keepLine() {
	if len(c.lines) < maxLines {
		c.lines = append(c.lines, Line{time.Now(), strings.TrimRight(string(c.partial), "\r")})
	}
	c.partial = c.partial[:0]
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *console) endLines() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	close(c.changed)
	c.changed = make(chan struct{})
}

// Lines are all lines since the first start.
func (m *Machine) Lines() []Line {
	m.console.mu.Lock()
	defer m.console.mu.Unlock()
	return append([]Line(nil), m.console.lines...)
}

// WaitLine gives the first line that matches, behind the one that the WaitLine before it
// gave. ErrEnded if the machine ends first.
func (m *Machine) WaitLine(ctx context.Context, re *regexp.Regexp) (Line, error) {
	c := m.console
	for {
		line, found, changed, closed := c.findLine(re)
		switch {
		case found:
			return line, nil
		case closed:
			return Line{}, fmt.Errorf("console: no line %q: %w", re, ErrEnded)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Line{}, fmt.Errorf("console: no line %q: %w", re, ctx.Err())
		}
	}
}

func (c *console) findLine(re *regexp.Regexp) (line Line, found bool, changed <-chan struct{}, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.indexFrom(c.seen, re); at >= 0 {
		c.seen = at + 1
		return c.lines[at], true, nil, false
	}
	return Line{}, false, c.changed, c.closed
}

// indexFrom is called with c.mu held.
func (c *console) indexFrom(start int, re *regexp.Regexp) int {
	for i := start; i < len(c.lines); i++ {
		if re.MatchString(c.lines[i].Text) {
			return i
		}
	}
	return -1
}

// count is how many lines there are.
func (c *console) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.lines)
}

// waitFrom waits for a line that matches, from line number start on, whatever WaitLine has passed:
// false if ctx or the console ends first.
func (c *console) waitFrom(ctx context.Context, start int, re *regexp.Regexp) bool {
	for {
		c.mu.Lock()
		at, changed, closed := c.indexFrom(start, re), c.changed, c.closed
		start = len(c.lines)
		c.mu.Unlock()
		if at >= 0 || closed {
			return at >= 0
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// lastLine keeps what QEMU complained about last.
type lastLine struct {
	mu   sync.Mutex
	text []byte
}

func (l *lastLine) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	if n := len(l.text) - maxLineBytes; n > 0 {
		l.text = l.text[n:]
	}
	return len(b), nil
}

func (l *lastLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(l.text)), "\n")
	return lines[len(lines)-1]
}
