// Package firmware is what runs on the board: it carries pictures from the camera through the
// encoder to the receiver, while the gateway grants it.
//
// It connects the leaves pipeline, rtpsend and gateway, which do not know each other, and owns
// the goroutines around them: one captures, one encodes and sends, one talks to the gateway.
// Test it without hardware with the camera "pattern" and the far end in this process.
package firmware

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/krazycam/krazycam/firmware/camera"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/gateway"
	"github.com/krazycam/krazycam/firmware/machine"
	"github.com/krazycam/krazycam/firmware/overload"
	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/firmware/rtpsend"
	"github.com/krazycam/krazycam/v4l2"
)

// A Source is one camera that streams to one far end.
type Source struct {
	Config      config.Config // complete: with what the board decides where the owner says nothing
	Unpaced     bool          // a file, once, as fast as the encoder goes
	Patient     bool          // wait for a camera that is not there, from the start
	RawRate     int           // as in v4l2.Request
	Built       time.Time     // of this program: a clock that is right reads no less
	StateDir    string        // keeps the utilization id; "": it is forgotten
	RestartFile string        // requests a restart of the machine, the last rescue; "": nobody looks
	ModesFile   string        // keeps which modes of cameras work; "": for this process only
	StatusFile  string        // init's, which knows the board; "": there is none
	OfferFile   string        // passes on which update the gateway offers; "": nobody fetches it
	CNAME       string        // of the RTP session (RFC 3550 section 6.5.1)
	SDP         io.Writer     // gets the description of each stream that begins, or nil
	Log         *slog.Logger

	// Opened is called once, when the camera is open: the moment to give up rights. An error
	// ends the Source.
	Opened func() error
	// Ready is called with the fields of the machine line when the first frame of a stream was
	// sent.
	Ready func(fields string)

	openCamera func() (pipeline.Camera, error) // camera.Open, or a test's
	clock      func() time.Duration            // CLOCK_MONOTONIC; nil: v4l2.Now
	stages     pipeline.Stages

	ceiling *rtpsend.Ceiling // the owner's rate, for all streams one after the other; made for the first

	session *gateway.Session // made for the first camera; one goroutine at a time has it
	vitals  vitals           // what Health reports

	// Of the goroutine that has the session.
	cameraInUse  string // in words
	statusBroken bool   // as of the last time that it was read

	// Of the goroutine that captures.
	rescue         rescue     // of the camera
	modes          v4l2.Modes // that cameras were opened in, and what came of it
	seenComplaints []string   // of cameras about settings and modes, logged already
}

// Stages returns the counters of the source; they live as long as it does.
func (s *Source) Stages() *pipeline.Stages { return &s.stages }

func (s *Source) now() time.Duration {
	if s.clock != nil {
		return s.clock()
	}
	return v4l2.Now()
}

// Run streams until ctx ends, which is no error, or until something fails that waiting does not
// mend. A file that is not paced ends with its last picture.
func (s *Source) Run(ctx context.Context) error {
	if s.openCamera == nil {
		s.openCamera = func() (pipeline.Camera, error) {
			return camera.Open(s.Config, s.RawRate, &s.modes, !s.Unpaced)
		}
	}
	s.loadModes()
	s.rescue.restartFile = s.RestartFile
	s.rescue.withdrawRestart()
	camera, err := s.awaitCamera(ctx, 0, slog.LevelInfo)
	if err != nil {
		return ignoreError(err, context.Canceled)
	}
	// Before Opened gives up root's rights: Debian keeps the kernel's log from others.
	health := machine.OpenHealth(os.DirFS("/sys"))
	if s.Opened != nil {
		if err := s.Opened(); err != nil {
			health.Close()
			return errors.Join(err, camera.Close())
		}
	}
	s.Patient = true // what was there once may come back
	ctx, cancel := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	watchers.Go(func() { s.stages.Watch(ctx, s.Log) })
	watchers.Go(func() { health.Watch(ctx, s.Log) })
	defer watchers.Wait()
	defer cancel()
	return s.streamFromCameras(ctx, camera)
}

// streamFromCameras streams from a camera and, after an outage that ended its stream, from what
// comes in its place.
func (s *Source) streamFromCameras(ctx context.Context, camera pipeline.Camera) error {
	for {
		err := s.streamFrom(ctx, camera)
		var resized *resizedCamera
		if errors.As(err, &resized) {
			if ctx.Err() != nil {
				return resized.Close()
			}
			camera = resized.Camera
			s.Log.Warn("camera sends pictures of another size: that is streamed",
				"camera", camera.String(), "error", resized.err)
			continue
		}
		if ctx.Err() != nil || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !cameraMayReturn(err) {
			return err
		}
		if camera, err = s.awaitCamera(ctx, 0, slog.LevelInfo); err != nil {
			return ignoreError(err, context.Canceled)
		}
	}
}

// streamFrom streams from an open camera, through its short outages, and closes it. A
// *resizedCamera, which it may return, is still open.
func (s *Source) streamFrom(ctx context.Context, camera pipeline.Camera) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fps := s.Config.Stream.FPS
	if s.Unpaced {
		fps = 0
	}
	p, err := pipeline.New(pipeline.Config{
		Layout: camera.Layout(), Interval: camera.Interval(), FPS: fps,
		Stages: &s.stages, Degraded: s.logDegradation,
	})
	if err != nil {
		return errors.Join(err, camera.Close())
	}
	defer p.Close()
	if s.Unpaced {
		return errors.Join(s.streamFile(ctx, p, camera), camera.Close())
	}
	farEnd, name := make(chan error, 1), camera.String() // here: its size may change while it captures
	go func() {
		farEnd <- s.followGrants(ctx, p, name)
		cancel()
	}()
	err = s.captureThroughOutages(ctx, p, camera)
	cancel()
	if farEndErr := <-farEnd; farEndErr != nil {
		var resized *resizedCamera
		if errors.As(err, &resized) {
			return errors.Join(farEndErr, resized.Close())
		}
		return farEndErr
	}
	return err
}

// logDegradation logs each step: it is what an owner sees of a board that is too slow.
func (s *Source) logDegradation(why overload.Reason, rung overload.Rung, size image.Point) {
	level := slog.LevelWarn
	if why == overload.Better {
		level = slog.LevelInfo
	}
	s.Log.Log(context.Background(), level, "load changes the stream",
		"because", why, "one_picture_of", rung.Divisor, "size", fmt.Sprintf("%dx%d", size.X, size.Y))
}

func ignoreError(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}
