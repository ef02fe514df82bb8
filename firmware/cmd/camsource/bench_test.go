package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// quick measures next to nothing.
var quick = []string{"--sizes", "160x120,320x240", "--speeds", "-12", "--threads", "1", "--frames", "20"}

func TestBenchMeasuresKeepsAndCompares(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")
	out, progress, err := call(t, append([]string{"bench", "--out", a}, quick...)...)
	if err != nil || !strings.Contains(out, "recommended: ") ||
		!strings.Contains(out, "320x240    YUYV    -12        1") {
		t.Errorf("bench printed (%v)\n%s", err, out)
	}
	if !strings.Contains(progress, "bench: 2 of 2: 320x240 speed -12 threads 1: ") {
		t.Errorf("progress:\n%s", progress)
	}
	out, _, err = call(t, append([]string{"bench", "--json", "--format", "MJPG", "--out", b}, quick...)...)
	var report map[string]any
	if err := errors.Join(err, json.Unmarshal([]byte(out), &report)); err != nil || report["rows"] == nil ||
		report["start"] == nil {
		t.Errorf("bench --json printed %v (%v)", out, err)
	}
	if _, _, err := call(t, "bench", "--compare", a, b); err == nil || !strings.Contains(err.Error(), "both have") {
		t.Errorf("YUYV compared with MJPG: %v, want an error: they have nothing in common", err)
	}
	out, _, err = call(t, "bench", "--compare", a, a)
	if err != nil || strings.Count(out, "1.00x") != 10 {
		t.Errorf("a result compared with itself (%v):\n%s", err, out)
	}
}

func TestBenchRefusesAWrongCommandLine(t *testing.T) {
	for _, args := range [][]string{
		{"--colour"}, {"extra"}, {"--frames", "0"}, {"--fps", "0"}, {"--sizes", "big"}, {"--speeds", "x"},
		{"--format", "RGBX"}, {"--compare", "a.json"}, {"--compare", "a.json", "b.json", "c.json"}, {"--bitrate", "7"},
	} {
		_, _, err := call(t, append([]string{"bench"}, args...)...)
		if !errors.Is(err, errUsage) || strings.Contains(err.Error(), "\n") {
			t.Errorf("bench %v: %v, want a usage error of one line", args, err)
		}
	}
	_, _, err := call(t, "bench", "--compare", "/nowhere/a.json", "/nowhere/b.json")
	if err == nil || errors.Is(err, errUsage) {
		t.Errorf("files that are not there: %v, want an error that is no usage error", err)
	}
	if out, _, err := call(t, "bench", "--help"); err != nil || !strings.Contains(out, "--compare") {
		t.Errorf("--help: %v\n%s", err, out)
	}
}
