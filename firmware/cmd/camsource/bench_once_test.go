package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/bench"
	"github.com/krazycam/krazycam/firmware/config"
)

// wish is for next to nothing, one row for each speed.
func wish(speeds ...int) bench.Config {
	c := bench.Defaults()
	c.Override(config.Bench{Sizes: []config.Size{{Width: 64, Height: 48}}, Speeds: speeds, Threads: []int{1},
		Frames: 20})
	return c
}

// starts gives what a board's starts print, one after the other on the same card.
func starts(t *testing.T, path string) func(bench.Config) string {
	return func(c bench.Config) string {
		var b strings.Builder
		benchOnce(t.Context(), c, path, &b)
		return b.String()
	}
}

// result is the line for machines, which must be the last.
func result(t *testing.T, console string) (r bench.Report) {
	t.Helper()
	_, line, ok := strings.Cut(console, "\ncamsource BENCH ")
	if err := json.Unmarshal([]byte(line), &r); !ok || err != nil {
		t.Fatalf("no result (%v):\n%s", err, console)
	}
	return r
}

func TestBoardMeasuresItselfOnceForEachVersionAndWish(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.json")
	start := starts(t, path)
	first := start(wish(-12))
	r := result(t, first)
	if len(r.Rows) != 1 || r.Version != version || r.Interrupted {
		t.Fatalf("result %+v", r)
	}
	if !strings.Contains(first, "bench: 1 of 1") || !strings.Contains(first, "recommended: ") {
		t.Errorf("no progress or no table:\n%s", first)
	}
	if again := start(wish(-12)); strings.Contains(again, "bench: ") || !strings.HasSuffix(first, again) {
		t.Errorf("second start:\n%s\nwant the first one's result, and no measurement", again)
	}
	if other := start(wish(-16)); !strings.Contains(other, "bench: 1 of 1") || result(t, other).Rows[0].Speed != -16 {
		t.Errorf("another wish:\n%s\nwant a measurement", other)
	}
	for what, change := range map[string]func(*bench.Report){
		"an update":               func(r *bench.Report) { r.Version = "an older one" },
		"the card in a new board": func(r *bench.Report) { r.Model = "another one" },
	} {
		change(&r)
		if err := r.Save(path); err != nil {
			t.Fatal(err)
		}
		if after := start(wish(-12)); !strings.Contains(after, "bench: 1 of 1") {
			t.Errorf("after %s:\n%s\nwant a measurement", what, after)
		}
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if broken := start(wish(-12)); !strings.Contains(broken, "bench: 1 of 1") {
		t.Errorf("with a broken file:\n%s\nwant a measurement", broken)
	}
}

// A watcher acts once, when a line holds its text.
type watcher struct {
	at  string
	act func()
	all strings.Builder
}

func (w *watcher) Write(b []byte) (int, error) {
	if w.act != nil && strings.Contains(string(b), w.at) {
		w.act()
		w.act = nil
	}
	return w.all.Write(b)
}

// TestBoardDoesNotBeginAgainABenchThatWasCutOff starts from the card as a power cut leaves it: the
// file as it was at that moment.
func TestBoardDoesNotBeginAgainABenchThatWasCutOff(t *testing.T) {
	for _, at := range []string{"loading", "bench: 1 of 2: 64x48 speed -8 threads 1: "} {
		path, cut := filepath.Join(t.TempDir(), "bench.json"), filepath.Join(t.TempDir(), "bench.json")
		first := &watcher{at: at, act: func() { copyFile(t, cut, path) }}
		benchOnce(t.Context(), wish(-8, -12), path, first)
		start := starts(t, cut)
		for range 2 {
			const says = "bench: interrupted at an earlier start, and not begun again: "
			s := start(wish(-8, -12))
			if !strings.HasPrefix(s, says) || !strings.Contains(s, cut) || strings.Count(s, "\n") != 1 {
				t.Errorf("the next start:\n%s\nwant one line that says how to measure again", s)
			}
		}
		if s := start(wish(-16)); len(result(t, s).Rows) != 1 {
			t.Errorf("another wish after that:\n%s\nwant a measurement", s)
		}
		if s := start(wish(-8, -12)); len(result(t, s).Rows) != 2 || result(t, s).Interrupted {
			t.Errorf("the first wish after another one:\n%s\nwant a measurement", s)
		}
	}
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestBoardToldToEndInItsBenchMeasuresAtItsNextStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.json")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := &watcher{at: "bench: 1 of 2", act: cancel}
	benchOnce(ctx, wish(-8, -12), path, first)
	if s := first.all.String(); strings.Contains(s, "camsource BENCH") || strings.Contains(s, "not kept") {
		t.Errorf("told to end after the first row it printed\n%s", s)
	}
	if next := starts(t, path)(wish(-8, -12)); len(result(t, next).Rows) != 2 {
		t.Errorf("next start:\n%s\nwant both rows", next)
	}
}

func TestBoardThatCannotKeepThatItBeganDoesNotMeasure(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := starts(t, filepath.Join(blocked, "bench.json"))(wish(-8, -12))
	if !strings.HasPrefix(s, "bench: not begun, ") || strings.Count(s, "\n") != 1 ||
		!strings.Contains(s, "not a directory") {
		t.Errorf("printed\n%s\nwant one line with the cause", s)
	}
}
