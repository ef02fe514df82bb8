// From one camera to the next that takes its place: what is an outage, how long a stream outlives
// it, and waiting for a camera. Runs in the goroutine that captures.

package firmware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/v4l2"
)

const (
	// outageLimit is how long a stream outlives the last buffer of its camera: a cable that is
	// plugged in again within it costs a moment of picture and no new session at the gateway.
	// It is shorter than three of the shortest keepalives (5 s), so the lease still stands.
	outageLimit = 10 * time.Second

	// reopenPause is the minimum time between two opens of a camera that delivers nothing;
	// without it the loop would keep the processor and the log busy.
	reopenPause = time.Second

	// cameraPollInterval is how often a missing camera is looked for: often enough that a
	// replugged one costs no noticeable time, and cheap, since it reads one folder.
	cameraPollInterval = 50 * time.Millisecond

	// complaintLimit bounds how many different complaints are remembered.
	complaintLimit = 64
)

// errOutageTooLong ends a stream whose camera did not come back in time.
var errOutageTooLong = errors.New("camera did not come back")

// A reopening is how the source goes on after its camera failed.
type reopening struct {
	pause time.Duration // before the first attempt
	limit time.Duration // for all attempts; not positive: there is none
	level slog.Level    // of the line that says that a camera is open
}

// captureThroughOutages fills the pipeline from the camera and from what comes back in its place.
func (s *Source) captureThroughOutages(ctx context.Context, p *pipeline.Pipeline, camera pipeline.Camera) error {
	for {
		openedAt := s.now()
		before := p.LastBuffer()
		err := s.captureUntilLost(ctx, p, camera)
		var resized *resizedCamera
		if errors.As(err, &resized) {
			return err // even if ctx ended since: the camera is open
		}
		if ctx.Err() != nil {
			return nil
		}
		if !cameraMayReturn(err) {
			return err
		}
		s.judgeMode(camera, err, p.LastBuffer() > before)
		r := s.planReopening(camera, err, openedAt, p.LastBuffer())
		if r.limit <= 0 {
			return fmt.Errorf("%w: %w", errOutageTooLong, err)
		}
		if camera, err = s.reopenCamera(ctx, p, r); err != nil {
			return err
		}
	}
}

// A resizedCamera is one that is open and has another size than its stream, as an error that ends
// the stream: the gateway knows the old size.
type resizedCamera struct {
	pipeline.Camera
	err error
}

func (r *resizedCamera) Error() string { return r.err.Error() }
func (r *resizedCamera) Unwrap() error { return r.err }

// captureUntilLost takes the camera's buffers until it fails or ctx ends, and closes it, unless
// it has another size now and ctx goes on: then it returns a *resizedCamera.
func (s *Source) captureUntilLost(ctx context.Context, p *pipeline.Pipeline, camera pipeline.Camera) error {
	stop := context.AfterFunc(ctx, func() { camera.Close() })
	s.vitals.noteCamera(camera.String())
	err := p.Capture(camera, func() {
		s.noteWorkingMode(camera)
		s.endOutage(camera)
	})
	if isOpen := stop(); isOpen && errors.Is(err, v4l2.ErrResized) {
		return &resizedCamera{camera, err}
	}
	return errors.Join(err, ignoreError(camera.Close(), v4l2.ErrClosed))
}

// planReopening says how to go on after err of the camera, and logs the beginning of an outage.
func (s *Source) planReopening(camera pipeline.Camera, err error, openedAt, lastBuffer time.Duration) reopening {
	silent := s.now() - lastBuffer
	if errors.Is(err, io.EOF) {
		// A file begins again, which is no outage. Its last picture lasts as long as the others.
		return reopening{pause: camera.Interval() - silent, limit: outageLimit, level: slog.LevelDebug}
	}
	r := reopening{limit: outageLimit - silent, level: slog.LevelInfo}
	if !s.rescue.beginOutage(lastBuffer, camera) {
		// The outage goes on: the camera opened and gave nothing.
		r.pause, r.level = reopenPause-(s.now()-openedAt), slog.LevelDebug
		return r
	}
	s.stages.Outages.Add(1)
	s.Log.Warn("camera lost", "camera", camera.String(), "error", err)
	return r
}

// endOutage notes that the camera gave a buffer.
func (s *Source) endOutage(camera pipeline.Camera) {
	if !s.rescue.active {
		return
	}
	s.Log.Info("camera back", "camera", camera.String(),
		"after", (s.now() - s.rescue.lastPicture).Round(time.Millisecond), "tried", s.rescue.tried)
	s.rescue.endOutage()
}

// reopenCamera opens the camera that is there, as r says, and makes the pipeline take it.
func (s *Source) reopenCamera(ctx context.Context, p *pipeline.Pipeline, r reopening) (pipeline.Camera, error) {
	if err := sleep(ctx, r.pause); err != nil {
		return nil, err
	}
	camera, err := s.awaitCamera(ctx, r.limit, r.level)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOutageTooLong, err)
	}
	if err := p.Adopt(camera.Layout(), camera.Interval()); err != nil {
		return nil, errors.Join(err, camera.Close())
	}
	return camera, nil
}

// cameraMayReturn says whether to wait for a camera after this error.
func cameraMayReturn(err error) bool {
	for _, passing := range []error{
		v4l2.ErrGone, v4l2.ErrSilent, v4l2.ErrNoCamera, v4l2.ErrBusy,
		errOutageTooLong, pipeline.ErrSize, io.EOF,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// awaitCamera opens a camera. It tries again until there is one, ctx ends or the wait took limit
// (0: no limit), and takes the due steps of a rescue meanwhile. What it waits for is logged when
// the wait begins, its end at level; nothing within an outage, which has a line of its own at
// each end.
//
// A patient Source takes every error for one that may pass: a camera that is plugged in with a
// shaky hand reports the strangest things, such as that it has no formats. Any Source goes on while
// modes of the camera are left to try.
func (s *Source) awaitCamera(ctx context.Context, limit time.Duration, level slog.Level) (pipeline.Camera, error) {
	start := s.now()
	lastError, waitLevel := "", slog.LevelWarn
	if s.rescue.active {
		level, waitLevel = slog.LevelDebug, slog.LevelDebug
	}
	for {
		s.stages.NoteCaptureStep(s.now())
		if s.rescue.takeDueSteps(ctx, s.now(), s.Log) {
			s.modes.ForgetSilent()
		}
		c, err := s.openCamera()
		if err == nil {
			s.logComplaints(c)
			s.logFallback(c)
			s.logRemarks(c)
			after := (s.now() - start).Round(time.Millisecond)
			s.Log.Log(ctx, level, "camera open",
				append([]any{"camera", c.String(), "after", after}, describeDevice(c)...)...)
			return c, nil
		}
		s.vitals.noteCamera("")
		goesOn := s.Patient || errors.Is(err, v4l2.ErrModesLeft) // only this process knows which failed
		if !goesOn || limit > 0 && s.now()-start > limit {
			return nil, err
		}
		if errors.Is(err, v4l2.ErrNoCamera) {
			s.modes.ForgetUnplugged()
		}
		pause := cameraPollInterval
		var none *v4l2.NoModeError
		if errors.As(err, &none) {
			s.rescue.beginOutage(s.now(), none)
			s.logNoMode(err)
			pause = reopenPause
		} else if err.Error() != lastError {
			lastError = err.Error()
			s.Log.Log(ctx, waitLevel, "waiting for a camera", "error", err)
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// describeDevice returns what a device says of itself beyond its name: its colours, and why it
// was asked for this mode.
func describeDevice(c pipeline.Camera) []any {
	d, ok := c.(*v4l2.Camera)
	if !ok {
		return nil
	}
	return []any{"colours", d.Colours().String(), "mode", d.ExplainChoice()}
}

// logComplaints logs what could not be set, each sentence once in the life of the Source: a
// camera that is unplugged every hour would fill the log.
func (s *Source) logComplaints(c pipeline.Camera) {
	complaining, ok := c.(interface{ Complaints() []string })
	if !ok {
		return
	}
	for _, sentence := range complaining.Complaints() {
		if !slices.Contains(s.seenComplaints, sentence) && len(s.seenComplaints) < complaintLimit {
			s.seenComplaints = append(s.seenComplaints, sentence)
			s.Log.Warn("camera setting left out", "because", sentence)
		}
	}
}

// logRemarks logs what is unusual about a file, each sentence once: it begins again and again.
func (s *Source) logRemarks(c pipeline.Camera) {
	file, ok := c.(interface{ Remarks() []string })
	if !ok {
		return
	}
	for _, sentence := range file.Remarks() {
		if !slices.Contains(s.seenComplaints, sentence) && len(s.seenComplaints) < complaintLimit {
			s.seenComplaints = append(s.seenComplaints, sentence)
			s.Log.Warn("camera file", "camera", c.String(), "remark", sentence)
		}
	}
}

// sleep waits d, or until ctx ends, which is its error.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
