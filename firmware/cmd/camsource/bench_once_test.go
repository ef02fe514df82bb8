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
	c.Override(config.Bench{Sizes: []config.Size{{Width: 64, Height: 48}}, Speeds: speeds, Threads: []int{1}, Frames: 20})
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
	if len(r.Rows) != 1 || r.Version != version || r.Interrupted || r.Attempt != nil {
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

// unplug ends ctx when a line holds its text, as power does: nothing is told any more.
type unplug struct {
	at     string
	cancel context.CancelFunc
	all    strings.Builder
}

func (u *unplug) Write(b []byte) (int, error) {
	if strings.Contains(string(b), u.at) {
		u.cancel()
	}
	return u.all.Write(b)
}

func TestBoardGoesOnWhereThePowerFailed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.json")
	ctx, cancel := context.WithCancel(t.Context())
	first := &unplug{at: "bench: 1 of 3: 64x48 speed -8 threads 1: ", cancel: cancel}
	benchOnce(ctx, wish(-8, -12, -16), path, first)
	if s := first.all.String(); strings.Contains(s, "BENCH") {
		t.Fatalf("an interrupted bench told a result:\n%s", s)
	}
	kept, err := bench.Load(path)
	if err != nil || len(kept.Rows) != 1 || !kept.Interrupted {
		t.Fatalf("kept %+v, %v", kept, err)
	}
	kept.Rows[0].Kbit = 12345 // to be known again
	if err := kept.Save(path); err != nil {
		t.Fatal(err)
	}
	second := starts(t, path)(wish(-8, -12, -16))
	r := result(t, second)
	if len(r.Rows) != 3 || r.Rows[0].Kbit != 12345 || r.Rows[2].Speed != -16 || r.Interrupted || r.Attempt != nil ||
		r.Recommended == nil {
		t.Errorf("result after the second start: %+v", r)
	}
	if strings.Contains(second, "bench: 1 of 3") || !strings.Contains(second, "before: 1\n") ||
		!strings.Contains(second, "bench: 2 of 3") {
		t.Errorf("second start:\n%s\nwant it to say that it goes on", second)
	}
}

func TestBoardGivesABenchUpThatAlwaysEndsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.json")
	for range maxStarts {
		ctx, cancel := context.WithCancel(t.Context())
		u := &unplug{at: "loading", cancel: cancel}
		benchOnce(ctx, wish(-12), path, u)
		if s := u.all.String(); !strings.Contains(s, "loading") || strings.Contains(s, "given up") {
			t.Fatalf("a start:\n%s", s)
		}
	}
	start := starts(t, path)
	if s := start(wish(-12)); !strings.HasPrefix(s, "bench: given up: 3 starts ended in 64x48 speed -12 threads 1") ||
		strings.Count(s, "\n") != 1 {
		t.Errorf("after %d starts without a row:\n%s", maxStarts, s)
	}
	if s := start(wish(-16)); !strings.Contains(s, "bench: 1 of 1") {
		t.Errorf("another wish after that:\n%s", s)
	}
}

func TestBoardWithoutRoomForTheResultStillTellsIt(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := starts(t, filepath.Join(blocked, "bench.json"))(wish(-8, -12))
	if strings.Count(s, "not a directory") != 1 || len(result(t, s).Rows) != 2 {
		t.Errorf("printed\n%s\nwant the error once, and the result", s)
	}
}
