// Which camera: a device, a y4m file or the test pattern; and waiting for one that is not there.

package firmware

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// pattern is the camera name of the test pattern.
const pattern = "pattern"

// isFile tells whether a camera name means a y4m file.
func isFile(name string) bool { return strings.HasSuffix(name, ".y4m") }

// openCamera opens what name says: "pattern", a file that ends in .y4m, else a
// device by path or by a part of its name, or the first that can capture.
func openCamera(c config.Config, paced bool) (Camera, error) {
	switch name := c.Camera.Device; {
	case name == pattern:
		return opened(v4l2.NewPattern(c.Stream.Size.Width, c.Stream.Size.Height, c.Stream.FPS))
	case isFile(name):
		return opened(v4l2.OpenY4M(name, paced))
	default:
		return openDevice(c)
	}
}

func openDevice(c config.Config) (Camera, error) {
	r := v4l2.Request{Device: c.Camera.Device, Width: c.Stream.Size.Width, Height: c.Stream.Size.Height, FPS: c.Stream.FPS}
	if c.Camera.Format != "" {
		var err error
		if r.Format, err = pixfmt.Parse(c.Camera.Format); err != nil {
			return nil, err
		}
	}
	return opened(v4l2.Open(r))
}

// opened keeps a nil pointer out of the interface, where it would look open.
func opened[C Camera](c C, err error) (Camera, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// lookAgain is how often a missing camera is looked for: often enough that a
// replugged one costs no noticeable time, and cheap, since it reads one folder.
const lookAgain = 50 * time.Millisecond

// awaitCamera opens a camera, looking again until there is one, ctx ends or the wait
// took limit (0: no limit). An outage is logged when it begins, its end at level.
// A patient Source takes every error for one that may pass: a camera that is plugged
// in with a shaky hand says the strangest things, such as that it has no formats.
func (s *Source) awaitCamera(ctx context.Context, limit time.Duration, level slog.Level) (Camera, error) {
	start := v4l2.Now()
	last := ""
	for {
		c, err := s.open()
		if err == nil {
			s.Log.Log(ctx, level, "camera open", "camera", c.String(), "after", (v4l2.Now() - start).Round(time.Millisecond))
			return c, nil
		}
		if !s.Patient || limit > 0 && v4l2.Now()-start > limit {
			return nil, err
		}
		if err.Error() != last {
			last = err.Error()
			s.Log.Warn("waiting for a camera", "because", err)
		}
		if err := pause(ctx, lookAgain); err != nil {
			return nil, err
		}
	}
}

// pause waits d, or until ctx ends, which is its error.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
