// From one camera to the next that takes its place: what is an outage and how long a stream outlives it.

package firmware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/v4l2"
)

// patience is how long a stream outlives the last buffer of its camera: a cable that
// is plugged in again within it costs a moment of picture, not a new session at the
// gateway. It is shorter than three of the shortest keepalives (5 s), so the lease
// still stands.
const patience = 10 * time.Second

// dead is the least time between two openings of a camera that opens and gives nothing:
// at once would keep the processor and the log busy.
const dead = time.Second

// errAway ends a stream whose camera did not come back in time.
var errAway = errors.New("camera did not come back")

// capture fills the pipeline from the camera and from what comes back in its place.
func (s *Source) capture(ctx context.Context, p *pipeline.Pipeline, camera pipeline.Camera) error {
	for {
		opened := s.now()
		err := s.drain(ctx, p, camera)
		if ctx.Err() != nil {
			return nil
		}
		if !lost(err) {
			return err
		}
		wait, left, level := time.Duration(0), patience-(s.now()-p.LastBuffer()), slog.LevelInfo
		switch {
		case errors.Is(err, io.EOF): // a file begins anew, which is no outage; its last picture lasts as long as the others
			wait, left, level = camera.Interval()-(s.now()-p.LastBuffer()), patience, slog.LevelDebug
		case !s.rescue.fell(p.LastBuffer(), camera): // it has given nothing since
			wait, level = dead-(s.now()-opened), slog.LevelDebug
		default:
			s.stages.Outages.Add(1)
			s.Log.Warn("camera lost", "camera", camera.String(), "because", err)
		}
		if left <= 0 {
			return fmt.Errorf("%w: %w", errAway, err)
		}
		if camera, err = s.reopen(ctx, p, wait, left, level); err != nil {
			return err
		}
	}
}

// drain takes the camera's buffers until it fails or ctx ends, and closes it.
func (s *Source) drain(ctx context.Context, p *pipeline.Pipeline, camera pipeline.Camera) error {
	stop := context.AfterFunc(ctx, func() { camera.Close() })
	err := p.Capture(camera, s.back(camera))
	stop()
	return errors.Join(err, ignore(camera.Close(), v4l2.ErrClosed))
}

// reopen waits, then opens what is there within the time that is left, and makes the
// pipeline take it.
func (s *Source) reopen(ctx context.Context, p *pipeline.Pipeline, wait, left time.Duration, level slog.Level) (pipeline.Camera, error) {
	if err := pause(ctx, wait); err != nil {
		return nil, err
	}
	camera, err := s.awaitCamera(ctx, left, level)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAway, err)
	}
	if err := p.Adopt(camera.Layout(), camera.Interval()); err != nil {
		return nil, errors.Join(err, camera.Close())
	}
	return camera, nil
}

// lost tells whether an error means that the camera may come back.
func lost(err error) bool {
	for _, l := range []error{v4l2.ErrGone, v4l2.ErrSilent, v4l2.ErrNoCamera, v4l2.ErrBusy, errAway, pipeline.ErrSize, io.EOF} {
		if errors.Is(err, l) {
			return true
		}
	}
	return false
}
