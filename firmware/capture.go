// From one camera to the next that takes its place: what is an outage and how long a stream outlives it.

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

// lookAgain is how often a missing camera is looked for: often enough that a
// replugged one costs no noticeable time, and cheap, since it reads one folder.
const lookAgain = 50 * time.Millisecond

// awaitCamera opens a camera, looking again until there is one, ctx ends or the wait
// took limit (0: no limit), and climbing the ladder of rescue meanwhile. What it waits
// for is logged when that begins, its end at level; within an outage, which has a line
// of its own at each end, nothing.
// A patient Source takes every error for one that may pass: a camera that is plugged
// in with a shaky hand says the strangest things, such as that it has no formats.
func (s *Source) awaitCamera(ctx context.Context, limit time.Duration, level slog.Level) (pipeline.Camera, error) {
	start := s.now()
	last, told := "", slog.LevelWarn
	if s.rescue.down {
		level, told = slog.LevelDebug, slog.LevelDebug
	}
	for {
		s.rescue.climb(ctx, s.now(), s.Log)
		c, err := s.open()
		if err == nil {
			s.complain(c)
			s.Log.Log(ctx, level, "camera open", append([]any{"camera", c.String(), "after", (s.now() - start).Round(time.Millisecond)}, details(c)...)...)
			return c, nil
		}
		if !s.Patient || limit > 0 && s.now()-start > limit {
			return nil, err
		}
		if err.Error() != last {
			last = err.Error()
			s.Log.Log(ctx, told, "waiting for a camera", "because", err)
		}
		if err := pause(ctx, lookAgain); err != nil {
			return nil, err
		}
	}
}

// details are what a device says of itself beyond its name: its colours, and why it was asked
// for this mode.
func details(c pipeline.Camera) []any {
	d, ok := c.(*v4l2.Camera)
	if !ok {
		return nil
	}
	return []any{"colours", d.Colours().String(), "mode", d.ExplainChoice()}
}

// complain tells what could not be set, each sentence once in the life of the Source:
// a camera that is unplugged each hour would fill the log.
func (s *Source) complain(c pipeline.Camera) {
	picky, ok := c.(interface{ Complaints() []string })
	if !ok {
		return
	}
	for _, sentence := range picky.Complaints() {
		if !slices.Contains(s.complaints, sentence) && len(s.complaints) < mostComplaints {
			s.complaints = append(s.complaints, sentence)
			s.Log.Warn("camera setting left out", "because", sentence)
		}
	}
}

// mostComplaints bounds what is remembered of them.
const mostComplaints = 64

// pause waits d, or until ctx ends, which is its error.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
