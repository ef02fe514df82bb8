package pipeline

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestCameraOfWhichNothingCanBeReadIsLogged(t *testing.T) {
	var log bytes.Buffer
	s := &Stages{}
	before := s.takeSnapshot(0)
	s.Unreadable.Add(30)
	s.takeSnapshot(time.Second).logSince(
		t.Context(), slog.New(slog.NewTextHandler(&log, nil)), slog.LevelInfo, before)
	if !strings.Contains(log.String(), "unreadable=30") {
		t.Errorf("logged %q, want the 30 buffers that held no JPEG", &log)
	}
}
