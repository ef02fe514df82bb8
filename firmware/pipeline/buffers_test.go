package pipeline

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/v4l2test"
)

func TestWhatACameraLeavesOutIsToldAcrossItsOpenings(t *testing.T) {
	p, _ := newTestPipeline(t, qvga)
	var log bytes.Buffer
	l := slog.New(slog.NewTextHandler(&log, nil))
	b := &p.stages.buffers
	before := b.logLosses(t.Context(), l, slog.LevelInfo, v4l2.Counters{})
	if before != (v4l2.Counters{}) || log.Len() > 0 {
		t.Errorf("logged without a camera: %+v, %s", before, &log)
	}
	for range 2 { // the second time it was lost in between
		d := v4l2test.New(t, v4l2test.Step{Buf: make([]byte, qvga.Size), Repeat: 2},
			v4l2test.Step{Buf: []byte{1}}, v4l2test.Step{Err: unix.ENODEV, Skip: 1})
		camera, err := v4l2.OpenDriver(d, v4l2.Request{Width: 320, Height: 240, Format: pixfmt.YUYV})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Capture(camera, nil); !errors.Is(err, v4l2.ErrGone) {
			t.Fatal(err)
		}
		if err := camera.Close(); err != nil {
			t.Fatal(err)
		}
	}
	now := b.logLosses(t.Context(), l, slog.LevelInfo, v4l2.Counters{Delivered: 2})
	if diff := cmp.Diff(v4l2.Counters{Delivered: 4, Short: 2}, now); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	got := log.String()
	if !strings.Contains(got, "buffers.delivered=2 buffers.short=2\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("log = %q, want one line of what was counted since", got)
	}
	b.logLosses(t.Context(), l, slog.LevelInfo, now.Since(v4l2.Counters{Delivered: 1, Older: 0}))
	if got := strings.Count(log.String(), "\n"); got != 1 {
		t.Errorf("%d lines though all was delivered:\n%s", got, &log)
	}
}
