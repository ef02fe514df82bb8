// Package camera opens the camera that a configuration names: a device, a y4m file or the test
// pattern; and says what the configuration wants of a device.
//
// It stands before the pipeline, between config and v4l2, which do not know each other, and
// owns nothing: the camera is the caller's.
package camera

import (
	"maps"
	"strings"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// pattern is the camera name of the test pattern.
const pattern = "pattern"

// isFile tells whether a camera name means a y4m file.
func isFile(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".y4m") }

// Open opens what camera.device names: "pattern", a file that ends in .y4m, else a device by
// path, part of its name, serial number or USB port, or the first that can capture. rawRate is
// that of v4l2.Request, and so is modes. paced: a file is read at its own rate, again and again.
func Open(c config.Config, rawRate int, modes *v4l2.Modes, paced bool) (pipeline.Camera, error) {
	switch name := c.Camera.Device; {
	case name == pattern:
		return orNil(v4l2.NewPattern(c.Stream.Size.Width, c.Stream.Size.Height, c.Stream.FPS))
	case isFile(name):
		return orNil(v4l2.OpenY4M(name, c.Stream.FPS, paced))
	default:
		return openDevice(c, rawRate, modes)
	}
}

func openDevice(c config.Config, rawRate int, modes *v4l2.Modes) (pipeline.Camera, error) {
	r, err := Request(c)
	if err != nil {
		return nil, err
	}
	r.RawRate, r.Modes = rawRate, modes
	return orNil(v4l2.Open(r))
}

// powerLines are the entries of the power line menu by their names in a configuration
// (linux/v4l2-controls.h, v4l2_power_line_frequency).
var powerLines = map[string]int64{"off": 0, "50": 1, "60": 2, "auto": 3}

// Request is what a configuration wants of a device.
func Request(c config.Config) (v4l2.Request, error) {
	r := v4l2.Request{
		Device: c.Camera.Device, Width: c.Stream.Size.Width, Height: c.Stream.Size.Height, FPS: c.Stream.FPS,
		Controls: map[string]int64{},
	}
	if entry, ok := powerLines[c.Camera.PowerLine]; ok {
		r.Controls[v4l2.PowerLineControl] = entry
	}
	maps.Copy(r.Controls, c.Camera.Controls) // a control's own name outweighs power-line
	if c.Camera.Format == "" {
		return r, nil
	}
	var err error
	r.Format, err = pixfmt.Parse(c.Camera.Format)
	return r, err
}

// orNil keeps a nil pointer out of the interface, where it would look open.
func orNil[C pipeline.Camera](c C, err error) (pipeline.Camera, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}
