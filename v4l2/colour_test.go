package v4l2

import (
	"testing"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

func TestColoursAreWhatTheDriverSaysOrItsDefaultMeans(t *testing.T) {
	for _, c := range []struct {
		name                          string
		format                        pixfmt.FourCC
		space, encoding, quantization uint32
		want                          string
	}{
		{"a webcam's YUYV", pixfmt.YUYV, 8, 0, 0, "sRGB, matrix 601, limited range"},
		{"a webcam's JPEG, which uvcvideo calls the same", pixfmt.MJPG, 8, 0, 0, "sRGB, matrix 601, full range"},
		{"a driver that says it all", pixfmt.NV12, 3, 1, 1, "Rec. 709, matrix 601, full range"},
		{"high definition by its default", pixfmt.NV12, 3, 0, 0, "Rec. 709, matrix 709, limited range"},
		{"JPEG's colours without compression", pixfmt.YU12, 7, 0, 0, "JPEG, matrix 601, full range"},
		{"and in limited range", pixfmt.YU12, 7, 0, 2, "JPEG, matrix 601, limited range"},
		{"a number that nobody knows", pixfmt.YUYV, 99, 99, 99, "unknown, matrix 601, limited range"},
		{"no answer", pixfmt.YUYV, 0, 0, 0, "unknown, matrix 601, limited range"},
	} {
		got := coloursOf(&pixFormat{pixelFormat: uint32(c.format), colorspace: c.space, encoding: c.encoding,
			quantization: c.quantization})
		if got.String() != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}
