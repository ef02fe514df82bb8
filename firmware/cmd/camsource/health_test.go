package main

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/health"
)

func TestHealthIsReportedBeforeThereIsASource(t *testing.T) {
	path := filepath.Join(t.TempDir(), "health.json")
	_, stop := startHealth(t.Context(), path, slog.New(slog.DiscardHandler))
	stop() // waits for the goroutine, which writes before it looks whether it should end
	r, err := health.Read(path)
	if err != nil || r.Rung != health.None || r.UptimeS <= 0 {
		t.Errorf("report = %+v, %v, want one that says that camsource runs", r, err)
	}
}

func TestHealthThatCannotBeWrittenIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	h := &healthReporter{
		path: filepath.Join(t.TempDir(), "none", "health.json"), log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	h.write()
	h.write()
	if got := strings.Count(log.String(), "level=ERROR"); got != 1 {
		t.Errorf("%d errors were logged, want 1:\n%s", got, &log)
	}
}

func TestOnAPCNoHealthIsReported(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h, stop := startHealth(ctx, healthFile, slog.New(slog.DiscardHandler))
	stop()
	if h.path != "" {
		t.Errorf("a PC's camsource would write %q", h.path)
	}
}
