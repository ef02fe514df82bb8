package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/bench"
)

func TestBoardMeasuresItselfOnceForEachVersion(t *testing.T) {
	c := bench.Defaults()
	c.Sizes, c.Speeds, c.Threads, c.Frames = []bench.Size{{Width: 64, Height: 48}}, []int{-12}, []int{1}, 20
	dir := t.TempDir()
	once := func() string {
		var b strings.Builder
		benchOnce(t.Context(), c, dir, &b)
		return b.String()
	}
	first := once()
	_, line, ok := strings.Cut(first, "\ncamsource BENCH ")
	var r bench.Report
	if err := json.Unmarshal([]byte(line), &r); !ok || err != nil || len(r.Rows) != 1 || r.Version != version {
		t.Fatalf("%v, %d rows:\n%s", err, len(r.Rows), first)
	}
	if !strings.Contains(first, "bench: 1 of 1") || !strings.Contains(first, "recommended: ") {
		t.Errorf("no progress or no table:\n%s", first)
	}
	if again := once(); strings.Contains(again, "bench: ") || !strings.HasSuffix(again, "camsource BENCH "+line) {
		t.Errorf("second start:\n%s\nwant the first one's result, and no measurement", again)
	}
	r.Version = "an older one"
	if err := r.Save(filepath.Join(dir, "bench.json")); err != nil {
		t.Fatal(err)
	}
	if updated := once(); !strings.Contains(updated, "bench: 1 of 1") {
		t.Errorf("after an update:\n%s\nwant a measurement", updated)
	}
}

func TestBoardWithoutRoomForTheResultStillTellsIt(t *testing.T) {
	c := bench.Defaults()
	c.Sizes, c.Speeds, c.Threads, c.Frames = []bench.Size{{Width: 64, Height: 48}}, []int{-12}, []int{1}, 20
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	benchOnce(t.Context(), c, blocked, &b)
	if s := b.String(); !strings.Contains(s, "not a directory") || !strings.Contains(s, "\ncamsource BENCH {") {
		t.Errorf("printed\n%s\nwant the error and the result", s)
	}
}
