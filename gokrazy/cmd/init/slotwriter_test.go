package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

func TestSlotwriterHasNoNetworkAndItsLastWordCounts(t *testing.T) {
	need.Root(t, "makes a network namespace")
	doing := make(chan string, 10)
	w := slotWriter{log: slog.New(slog.NewTextHandler(t.Output(), nil)), progress: doing}
	shell := func(ctx context.Context, script string) (string, error) {
		out, err := w.run(ctx, "/bin/sh", []string{"-c", script})
		return string(out), err
	}
	out, err := shell(t.Context(), `echo "slotwriter PROGRESS step=root done=1 total=2" >&2
		tail -n +3 /proc/net/dev | cut -d: -f1; nice`)
	if fields := strings.Fields(out); err != nil || len(fields) != 2 || fields[0] != "lo" || fields[1] != "19" {
		t.Errorf("run = %q, %v, want a loopback alone and niceness 19", out, err)
	}
	if got := <-doing; got != "step=root done=1 total=2" {
		t.Errorf("progress = %q", got)
	}
	_, err = shell(t.Context(), "echo noise >&2; echo 'slotwriter: part root: hash is wrong' >&2; exit 1")
	if err == nil || err.Error() != "part root: hash is wrong" {
		t.Errorf("refused: %v, want the program's last word", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := shell(ctx, "sleep 1000"); err == nil {
		t.Error("a program that is not waited for any more has no error")
	}
	out, err = shell(t.Context(), "yes | head -c 1000000; yes x | tr -d '\\n' | head -c 1000000 >&2; exit 0")
	if err != nil || len(out) > maxWriterLine {
		t.Errorf("a program that says too much: %d bytes, %v", len(out), err)
	}
	if _, err := w.run(t.Context(), "/none", nil); !os.IsNotExist(err) && err == nil {
		t.Errorf("no program: %v", err)
	}
}
