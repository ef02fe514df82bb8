// Scaling, and sizes and pictures that it refuses.

package convert

import (
	"image"
	"math"
	"testing"
)

func TestHalfSizeIsTheMeanOfFourPixels(t *testing.T) {
	src, got, want := newPicture(96, 64), newPicture(48, 32), newPicture(48, 32)
	fillNoise(src.Y)
	fillNoise(src.Cb)
	fillNoise(src.Cr)
	if err := Scale(got, src); err != nil {
		t.Fatal(err)
	}
	quarter := func(dst, src []byte, width, height, stride, srcStride int) {
		for y := range height {
			for x := range width {
				i := 2*y*srcStride + 2*x
				upper := int(src[i]) + int(src[i+1])
				lower := int(src[i+srcStride]) + int(src[i+srcStride+1])
				dst[y*stride+x] = byte((upper + lower + 2) / 4)
			}
		}
	}
	quarter(want.Y, src.Y, 48, 32, want.YStride, src.YStride)
	quarter(want.Cb, src.Cb, 24, 16, want.CStride, src.CStride)
	quarter(want.Cr, src.Cr, 24, 16, want.CStride, src.CStride)
	if plane, x, y, ok := firstDifference(got, want); !ok {
		t.Errorf("plane %s differs at %d,%d", plane, x, y)
	}
}

func TestScaleWorksForAnySizesAndRefusesWhatIsNoPicture(t *testing.T) {
	for _, size := range [][4]int{ // to and from
		{1, 1, 1, 1}, {1, 1, 640, 480}, {101, 53, 640, 480},
		{640, 480, 101, 53}, {4096, 2160, 16, 16}, {2, 2, 4096, 2160},
	} {
		if err := Scale(guardedPicture(t, size[0], size[1]), guardedPicture(t, size[2], size[3])); err != nil {
			t.Errorf("%v: %v", size, err)
		}
	}
	wrong := newPicture(64, 48)
	wrong.YStride = math.MaxInt32
	short := newPicture(64, 48)
	short.Cr = short.Cr[:1]
	for name, p := range map[string]*image.YCbCr{
		"nil": nil, "zero": {}, "an absurd stride": wrong, "a short plane": short,
	} {
		if Scale(p, newPicture(32, 24)) == nil || Scale(newPicture(32, 24), p) == nil {
			t.Errorf("a picture that is %s: no error", name)
		}
	}
	p, q := newPicture(32, 24), newPicture(64, 48)
	if got := testing.AllocsPerRun(20, func() { _ = Scale(p, q) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

// guardedPicture has planes that end where the address space ends.
func guardedPicture(t *testing.T, w, h int) *image.YCbCr {
	cw, ch := (w+1)/2, (h+1)/2
	return &image.YCbCr{
		Y: guardedBytes(t, w*h), Cb: guardedBytes(t, cw*ch), Cr: guardedBytes(t, cw*ch),
		YStride: w, CStride: cw,
		SubsampleRatio: image.YCbCrSubsampleRatio420,
		Rect:           image.Rect(0, 0, w, h),
	}
}
