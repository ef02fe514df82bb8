package firmware

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/v4l2"
)

// usbCamera is a camera of which only the place matters.
type usbCamera struct {
	pipeline.Camera
	port string
}

func (p usbCamera) Identity() v4l2.Identity { return v4l2.Identity{Port: p.port} }
func (p usbCamera) String() string          { return "usbCamera" }

// rescueAttempts plays an outage of the given length, looking four times a second.
func rescueAttempts(r *rescue, from, length time.Duration) (names []string, at []time.Duration) {
	for now := from; now <= from+length; now += time.Second / 4 {
		if step := r.dueStep(now); step != nil {
			names, at = append(names, step.name), append(at, now-from)
		}
	}
	return names, at
}

func TestRescueGoesUpTheLadderAndBeginsAnewAfterFiveMinutes(t *testing.T) {
	var r rescue
	if !r.beginOutage(time.Hour, usbCamera{port: "1-1"}) {
		t.Error("the loss of a camera is no news")
	}
	if r.beginOutage(time.Hour+time.Second, usbCamera{port: "1-2"}) || r.port != "1-1" {
		t.Error("a second loss in one outage is news")
	}
	names, at := rescueAttempts(&r, time.Hour, 10*time.Minute)
	once := []string{"USB reset", "USB authorisation", "USB port power"}
	if diff := cmp.Diff(slices.Concat(once, once), names); diff != "" {
		t.Errorf("rungs (-want +got):\n%s", diff)
	}
	want := []time.Duration{4 * time.Second, 7 * time.Second, 12 * time.Second}
	if diff := cmp.Diff(want, at[:3]); diff != "" || at[3] < rescueRound {
		t.Errorf("times (-want +got):\n%s, and again at %v, want %v at least", diff, at[3], rescueRound)
	}
}

func TestRescueTouchesNothingThatIsNotAUSBCamera(t *testing.T) {
	for name, camera := range map[string]pipeline.Camera{
		"a platform device": usbCamera{}, "a file": &silentCamera{},
	} {
		var r rescue
		r.beginOutage(0, camera)
		if names, _ := rescueAttempts(&r, 0, time.Hour); names != nil {
			t.Errorf("%s: %q, want nothing", name, names)
		}
	}
	var works rescue
	if names, _ := rescueAttempts(&works, 0, time.Hour); names != nil {
		t.Errorf("a camera that works: %q, want nothing", names)
	}
}

func TestRescueWishesForARestartAfterTwoClimbsAndTakesItBack(t *testing.T) {
	wish := filepath.Join(t.TempDir(), "restart")
	log := slog.New(slog.DiscardHandler)
	wished := func() bool { _, err := os.Stat(wish); return err == nil }
	for _, c := range []struct {
		name, port, wish string
		after            time.Duration
		want             bool
	}{
		{"not in the first ten minutes", "1-1", wish, 10*time.Minute - time.Second, false},
		{"then", "1-1", wish, 10 * time.Minute, true},
		{"not for what is not on USB", "", wish, time.Hour, false},
		{"not where nobody listens", "1-1", "", time.Hour, false},
	} {
		r := rescue{restartFile: c.wish}
		r.requestRestart(time.Hour+c.after, log) // it works
		r.beginOutage(time.Hour, usbCamera{port: c.port})
		r.requestRestart(time.Hour+c.after, log)
		if wished() != c.want || c.want != slices.Contains(r.tried, "restart") {
			t.Errorf("%s: requested = %v, tried %q, want %v", c.name, wished(), r.tried, c.want)
		}
		if r.withdrawRestart(); wished() {
			t.Errorf("%s: the wish is still there", c.name)
		}
	}
}

func TestRestartIsNotWishedForAnyMoreWhenTheCameraIsBack(t *testing.T) {
	p, _ := newTestPipeline(t, vga, &pipeline.Stages{})
	wish := filepath.Join(t.TempDir(), "restart")
	s := &Source{Log: slog.New(slog.DiscardHandler), rescue: rescue{restartFile: wish}}
	s.rescue.beginOutage(v4l2.Now()-restartDelay, usbCamera{port: "none"})
	s.rescue.takeDueSteps(t.Context(), v4l2.Now(), s.Log)
	if _, err := os.Stat(wish); err != nil {
		t.Fatal(err)
	}
	if err := s.captureUntilLost(t.Context(), p, &shortLivedCamera{left: 1}); !errors.Is(err, v4l2.ErrGone) {
		t.Fatal(err)
	}
	if _, err := os.Stat(wish); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the wish: %v, want it gone", err)
	}
	if err := os.WriteFile(wish, nil, 0o600); err != nil { // of a process that crashed
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s = &Source{Log: s.Log, RestartFile: wish, Patient: true}
	s.openCamera = func() (pipeline.Camera, error) { return nil, v4l2.ErrNoCamera }
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(wish); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an old wish: %v, want it gone", err)
	}
}

// A shortLivedCamera goes away after some buffers.
type shortLivedCamera struct {
	silentCamera
	left int
}

func (g *shortLivedCamera) Next(time.Duration, func(v4l2.Buffer) error) error {
	if g.left == 0 {
		return v4l2.ErrGone
	}
	g.left--
	return nil
}

func TestOutageIsOneLineWhenItBeginsAndOneWhenItEnds(t *testing.T) {
	p, _ := newTestPipeline(t, vga, &pipeline.Stages{})
	var log bytes.Buffer
	s := &Source{Patient: true, Log: slog.New(slog.NewTextHandler(&log, nil))}
	s.rescue.steps = []rescueStep{
		{"a kick", 0, func(context.Context, string) error { return nil }},
		{"a prayer", 0, func(context.Context, string) error { return errors.New("unheard") }},
	}
	s.rescue.beginOutage(v4l2.Now(), usbCamera{port: "1-1"})
	replies := []error{v4l2.ErrNoCamera, v4l2.ErrBusy, nil}
	s.openCamera = func() (pipeline.Camera, error) {
		err := replies[0]
		replies = replies[1:]
		return &shortLivedCamera{left: 3}, err
	}
	camera, err := s.awaitCamera(t.Context(), 0, slog.LevelInfo)
	if err != nil {
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Errorf("logged in the middle of an outage:\n%s", &log)
	}
	if err := s.captureUntilLost(t.Context(), p, camera); !errors.Is(err, v4l2.ErrGone) {
		t.Fatal(err)
	}
	got := log.String()
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="camera back" camera=silent`) ||
		!strings.Contains(got, `tried="[a kick]"`) {
		t.Errorf("log = %q, want one line that says it is back and what was tried", got)
	}
	if s.rescue.active || !s.rescue.beginOutage(0, camera) {
		t.Error("the outage did not end")
	}
}

func TestControlThatCannotBeSetIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	s := &Source{Log: slog.New(slog.NewTextHandler(&log, nil))}
	s.openCamera = func() (pipeline.Camera, error) { return complaining{}, nil }
	for range 3 {
		if _, err := s.awaitCamera(t.Context(), 0, slog.LevelDebug); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(log.String(), "no such control"); got != 1 {
		t.Errorf("told %d times, want once:\n%s", got, &log)
	}
}

type complaining struct{ pipeline.Camera }

func (complaining) Complaints() []string { return []string{"no such control"} }
func (complaining) String() string       { return "complaining" }
