package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestConsoleGivesLinesInOrder(t *testing.T) {
	var raw bytes.Buffer
	m := &Machine{console: newConsole(&raw)}
	for _, part := range []string{"one\r\ntw", "o\n", "READY a\nREADY b\n", "cut"} {
		fmt.Fprint(m.console, part)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ready := regexp.MustCompile(`^READY`)
	for _, want := range []string{"READY a", "READY b"} {
		if l, err := m.WaitLine(ctx, ready); err != nil || l.Text != want {
			t.Fatalf("WaitLine = %q, %v, want %q", l.Text, err, want)
		}
	}
	go fmt.Fprint(m.console, " off\nREADY c\n")
	if l, err := m.WaitLine(ctx, ready); err != nil || l.Text != "READY c" {
		t.Fatalf("WaitLine = %q, %v, want the line that came while it waited", l.Text, err)
	}
	var texts []string
	for _, l := range m.Lines() {
		texts = append(texts, l.Text)
	}
	if want := []string{"one", "two", "READY a", "READY b", "cut off", "READY c"}; !slices.Equal(texts, want) {
		t.Errorf("Lines = %q, want %q", texts, want)
	}
	if want := "one\r\ntwo\nREADY a\nREADY b\ncut off\nREADY c\n"; raw.String() != want {
		t.Errorf("raw console = %q, want %q", raw.String(), want)
	}
}

func TestWaitLineEndsWithTheVMAndWithItsContext(t *testing.T) {
	m := &Machine{console: newConsole(nil)}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.WaitLine(ctx, regexp.MustCompile("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("WaitLine = %v, want Canceled", err)
	}
	m.console.endLines()
	if _, err := m.WaitLine(context.Background(), regexp.MustCompile("x")); !errors.Is(err, ErrEnded) {
		t.Errorf("WaitLine = %v, want ErrEnded", err)
	}
}

func TestConsoleBoundsOneLine(t *testing.T) {
	c := newConsole(nil)
	for range 3 {
		fmt.Fprint(c, strings.Repeat("x", maxLineBytes))
	}
	fmt.Fprint(c, "\n")
	if n := len(c.lines[0].Text); n != maxLineBytes {
		t.Errorf("line of %d bytes was kept, want %d", n, maxLineBytes)
	}
}
