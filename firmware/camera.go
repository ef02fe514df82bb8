// Which camera: a device, a y4m file or the test pattern; and waiting for one that is not there.

package firmware

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// pattern is the camera name of the test pattern.
const pattern = "pattern"

// isFile tells whether a camera name means a y4m file.
func isFile(name string) bool { return strings.HasSuffix(name, ".y4m") }

// openCamera opens what name says: "pattern", a file that ends in .y4m, else a
// device by path, part of its name, serial number or USB port, or the first that can
// capture.
func openCamera(c config.Config, rawRate int, paced bool) (pipeline.Camera, error) {
	switch name := c.Camera.Device; {
	case name == pattern:
		return opened(v4l2.NewPattern(c.Stream.Size.Width, c.Stream.Size.Height, c.Stream.FPS))
	case isFile(name):
		return opened(v4l2.OpenY4M(name, paced))
	default:
		return openDevice(c, rawRate)
	}
}

func openDevice(c config.Config, rawRate int) (pipeline.Camera, error) {
	r, err := Wanted(c)
	if err != nil {
		return nil, err
	}
	r.RawRate = rawRate
	return opened(v4l2.Open(r))
}

// powerLines are the entries of the power line menu by their names in a configuration.
var powerLines = map[string]int64{"off": 0, "50": 1, "60": 2, "auto": 3}

// Wanted is what a configuration wants of a camera.
func Wanted(c config.Config) (v4l2.Request, error) {
	r := v4l2.Request{
		Device: c.Camera.Device, Width: c.Stream.Size.Width, Height: c.Stream.Size.Height, FPS: c.Stream.FPS,
		Controls: map[string]int64{},
	}
	if entry, ok := powerLines[c.Camera.PowerLine]; ok {
		r.Controls[v4l2.PowerLineControl] = entry
	}
	maps.Copy(r.Controls, c.Camera.Controls) // by its own name it is said with more care
	if c.Camera.Format == "" {
		return r, nil
	}
	var err error
	r.Format, err = pixfmt.Parse(c.Camera.Format)
	return r, err
}

// opened keeps a nil pointer out of the interface, where it would look open.
func opened[C pipeline.Camera](c C, err error) (pipeline.Camera, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
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
	return []any{"colours", d.Colours().String(), "mode", d.Why()}
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
