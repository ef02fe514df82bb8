package firmware

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/firmware/camera"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

var vga = pixfmt.Layout{Format: pixfmt.YUYV, Width: 640, Height: 480, Stride: 1280, Size: 640 * 480 * 2}

// newTestPipeline makes a pipeline and an encoder for it.
func newTestPipeline(t *testing.T, l pixfmt.Layout, stages *pipeline.Stages) (
	*pipeline.Pipeline, *encoder.Encoder) {
	t.Helper()
	p, err := pipeline.New(pipeline.Config{Layout: l, Stages: stages})
	if err != nil {
		t.Fatal(err)
	}
	enc, err := encoder.New(encoder.Config{
		Width: l.Width, Height: l.Height, FPS: 30, Bitrate: 600_000, Speed: -12, Threads: 1,
	})
	if err != nil {
		p.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() { enc.Close(); p.Close() })
	return p, enc
}

// A silentCamera opens and then gives nothing.
type silentCamera struct {
	passed *time.Duration // grows by 3.5 s with each try, nil: no time passes
}

func (d *silentCamera) Layout() pixfmt.Layout   { return vga }
func (d *silentCamera) Interval() time.Duration { return time.Second / 30 }
func (d *silentCamera) Close() error            { return nil }
func (d *silentCamera) String() string          { return "silent" }

func (d *silentCamera) Next(time.Duration, func(v4l2.Buffer) error) error {
	if d.passed != nil {
		*d.passed += 3500 * time.Millisecond // two tries are within outageLimit, three are not
	}
	return v4l2.ErrGone
}

func TestCameraThatOpensButGivesNothingIsOneOutageThatEnds(t *testing.T) {
	p, _ := newTestPipeline(t, vga, &pipeline.Stages{})
	var log bytes.Buffer
	opened, passed := 0, time.Duration(0)
	s := &Source{Patient: true, Log: slog.New(slog.NewTextHandler(&log, nil))}
	s.openCamera = func() (pipeline.Camera, error) { opened++; return &silentCamera{&passed}, nil }
	s.clock = func() time.Duration { return v4l2.Now() + passed }
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := s.captureThroughOutages(ctx, p, &silentCamera{&passed})
	if !errors.Is(err, errOutageTooLong) || !cameraMayReturn(err) {
		t.Errorf("captureThroughOutages = %v, want errOutageTooLong: a stream outlives its camera by at most %v",
			err, outageLimit)
	}
	if opened != 2 || s.stages.Outages.Load() != 1 {
		t.Errorf("opened %d times again, %d outages; want 2 within %v, and 1",
			opened, s.stages.Outages.Load(), outageLimit)
	}
	if got := strings.Count(log.String(), "camera lost"); got != 1 {
		t.Errorf("%d log lines about one outage:\n%s", got, &log)
	}
}

func TestShakyHandOnThePlugIsNoReasonToEnd(t *testing.T) {
	p, _ := newTestPipeline(t, vga, &pipeline.Stages{})
	replies := []error{v4l2.ErrNotCapture, syscall.EPROTO, v4l2.ErrNoCamera}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s := &Source{Patient: true, Log: slog.New(slog.DiscardHandler)}
	s.openCamera = func() (pipeline.Camera, error) {
		if len(replies) == 0 {
			cancel()
			return &silentCamera{}, nil
		}
		err := replies[0]
		replies = replies[1:]
		return nil, err
	}
	if err := s.captureThroughOutages(ctx, p, &silentCamera{}); err != nil || len(replies) > 0 {
		t.Errorf("captureThroughOutages = %v with %d replies to come, want it to look until the camera is back",
			err, len(replies))
	}
}

// A countedCamera counts what it gives.
type countedCamera struct {
	pipeline.Camera
	given *int
}

func (c *countedCamera) Next(timeout time.Duration, use func(v4l2.Buffer) error) error {
	err := c.Camera.Next(timeout, use)
	if err == nil {
		*c.given++
	}
	return err
}

func TestFileBeginsAnewOneIntervalAfterItsLastPicture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one.y4m")
	clip := append([]byte("YUV4MPEG2 W320 H240 F10:1\nFRAME\n"), make([]byte, 320*240*3/2)...)
	if err := os.WriteFile(path, clip, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := &Source{
		Patient: true, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Config: config.Config{Camera: config.Camera{Device: path}},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	opened, pictures := 0, 0
	s.openCamera = func() (pipeline.Camera, error) {
		if opened++; opened == 6 {
			cancel()
		}
		c, err := camera.Open(s.Config, 0, nil, true)
		return &countedCamera{c, &pictures}, err
	}
	camera, err := s.openCamera()
	if err != nil {
		t.Fatal(err)
	}
	p, _ := newTestPipeline(t, camera.Layout(), &pipeline.Stages{})
	began := time.Now()
	if err := s.captureThroughOutages(ctx, p, camera); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 5*camera.Interval()-time.Millisecond {
		t.Errorf("five times anew within %v, want an interval of %v before each", took, camera.Interval())
	}
	if pictures < 5 || pictures > 6 {
		t.Errorf("%d pictures of a file of one that was opened six times", pictures)
	}
	if log.Len() > 0 || s.stages.Outages.Load() != 0 {
		t.Errorf("a file that begins anew is logged as an outage:\n%s", &log)
	}
}

// A resizingCamera finds out at its first picture that it has half the size.
type resizingCamera struct {
	layout pixfmt.Layout
	closed atomic.Int32
}

func (c *resizingCamera) Layout() pixfmt.Layout   { return c.layout }
func (c *resizingCamera) Interval() time.Duration { return time.Second / 30 }
func (c *resizingCamera) Close() error            { c.closed.Add(1); return nil }
func (c *resizingCamera) String() string          { return "resizing" }

func (c *resizingCamera) Next(_ time.Duration, use func(v4l2.Buffer) error) error {
	if c.layout == vga {
		c.layout, _ = pixfmt.New(pixfmt.YUYV, 320, 240, 0)
		return v4l2.ErrResized
	}
	time.Sleep(5 * time.Millisecond) // the pace of a camera
	if c.closed.Load() > 0 {
		return v4l2.ErrClosed
	}
	return use(v4l2.Buffer{Bytes: make([]byte, c.layout.Size), Layout: c.layout, At: v4l2.Now()})
}

func TestCameraOfAnotherSizeIsStreamedInItsOwnWithoutBeingOpenedAgain(t *testing.T) {
	d := newDesk(t)
	s := d.source(t)
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	c, opened := &resizingCamera{layout: vga}, 0
	s.openCamera = func() (pipeline.Camera, error) { opened++; return c, nil }
	ready := make(chan string, 10)
	s.Ready = func(fields string) { ready <- fields }
	stop := start(t, s)
	select {
	case fields := <-ready:
		if !strings.Contains(fields, "size=320x240") {
			t.Errorf("READY %s, want the size of the pictures, 320x240", fields)
		}
	case <-time.After(30 * time.Second):
		t.Error("no stream")
	}
	stop()
	if opened != 1 || c.closed.Load() == 0 {
		t.Errorf("opened %d times, closed %d, want it opened once and closed", opened, c.closed.Load())
	}
	if got := strings.Count(log.String(), "another size"); got < 1 || strings.Contains(log.String(), "camera lost") {
		t.Errorf("the log:\n%s", &log)
	}
}

// A lateEnd is a context that ends between the first look at it and the second.
type lateEnd struct {
	context.Context
	looks int
}

func (c *lateEnd) Err() error {
	if c.looks++; c.looks == 1 {
		return nil
	}
	return context.Canceled
}

func TestCameraOfAnotherSizeIsNotForgottenIfTheStreamEndsAtThatMoment(t *testing.T) {
	p, _ := newTestPipeline(t, vga, &pipeline.Stages{})
	s := &Source{Log: slog.New(slog.DiscardHandler)}
	c := &resizingCamera{layout: vga}
	err := s.captureThroughOutages(&lateEnd{Context: context.Background()}, p, c)
	var resized *resizedCamera
	if handedOver, closed := errors.As(err, &resized), c.closed.Load() > 0; handedOver == closed {
		t.Errorf("captureThroughOutages = %v, closed %v, want the camera handed over or closed", err, closed)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	c = &resizingCamera{layout: vga}
	if err := s.captureThroughOutages(ended, p, c); err != nil || c.closed.Load() == 0 {
		t.Errorf("once the stream has ended: %v, closed %d times, want it closed", err, c.closed.Load())
	}
}
