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
	before := s.read(0)
	s.Unreadable.Add(30)
	before.log(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), slog.LevelInfo, s.read(time.Second))
	if !strings.Contains(log.String(), "unreadable=30") {
		t.Errorf("logged %q, want the 30 buffers that held no JPEG", &log)
	}
}
