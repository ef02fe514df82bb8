package v4l2_test

import (
	"errors"
	"testing"

	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/v4l2test"
)

// sizedJPEG is what passes for a JPEG of a size without decoding.
func sizedJPEG(width, height int) []byte {
	return []byte{0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, byte(height >> 8), byte(height), byte(width >> 8), byte(width),
		1, 1, 0x11, 0, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0x12, 0x34}
}

func TestSizeOfEveryPictureBecomesTheCameras(t *testing.T) {
	agreed := v4l2.Request{Width: 320, Height: 240, FPS: 30, Format: pixfmt.MJPG}
	picture := func(width, height, times int) v4l2test.Step {
		return v4l2test.Step{Buf: sizedJPEG(width, height), Repeat: times}
	}
	for _, c := range []struct {
		name          string
		steps         []v4l2test.Step
		width, height int // of the camera in the end
		resized       bool
		delivered     uint64
	}{
		{"each picture is smaller", []v4l2test.Step{picture(176, 144, 11)}, 176, 144, true, 3},
		{"each picture is larger", []v4l2test.Step{picture(640, 480, 11)}, 640, 480, true, 3},
		{"an odd size", []v4l2test.Step{picture(641, 481, 11)}, 640, 480, true, 3},
		{"the first are of the stream before",
			[]v4l2test.Step{picture(640, 480, 7), picture(320, 240, 3)}, 320, 240, false, 3},
		{"some are",
			[]v4l2test.Step{picture(320, 240, 1), picture(640, 480, 20), picture(320, 240, 2)}, 320, 240, false, 3},
		{"each has its own",
			[]v4l2test.Step{picture(640, 480, 5), picture(176, 144, 5), picture(640, 480, 5)}, 320, 240, false, 0},
		{"a size beyond all memory", []v4l2test.Step{picture(65535, 65535, 11)}, 320, 240, false, 0},
		{"a large one", []v4l2test.Step{picture(16000, 16000, 11)}, 320, 240, false, 0},
		{"it changes its mind",
			[]v4l2test.Step{picture(640, 480, 8), picture(320, 240, 20), picture(640, 480, 1)}, 640, 480, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			cam := open(t, v4l2test.New(t, c.steps...), agreed)
			resized, delivered := false, uint64(0)
			for {
				err := cam.Next(second, func(b v4l2.Buffer) error {
					if b.Layout != cam.Layout() {
						t.Errorf("buffer of %v, the camera has %v", b.Layout, cam.Layout())
					}
					delivered++
					return nil
				})
				if errors.Is(err, v4l2.ErrResized) && !resized {
					resized = true
				} else if err != nil {
					if !errors.Is(err, v4l2.ErrSilent) {
						t.Errorf("Next = %v, want ErrSilent at the script's end", err)
					}
					break
				}
			}
			if l := cam.Layout(); l.Width != c.width || l.Height != c.height || l.Check() != nil {
				t.Errorf("Layout = %+v, want %dx%d", l, c.width, c.height)
			}
			if resized != c.resized || delivered != c.delivered {
				t.Errorf("resized = %v with %d delivered, want %v with %d", resized, delivered, c.resized, c.delivered)
			}
		})
	}
}
