// Fuzzing of configurations and pictures.

package encoder

import (
	"image"
	"testing"
)

// Every configuration and picture gives a clear error or a frame, and nothing is read behind the planes.
func FuzzAnyConfigurationAndPictureIsEncodedOrRefused(f *testing.F) {
	f.Add(64, 48, 30, 300_000, -12, 1, 64, 32, 64, 48, []byte("a picture"))
	f.Add(1, 1, 1, 10_000, -1, 4, 1, 1, 1, 1, []byte{})
	f.Add(101, 53, 120, 100_000_000, -16, 2, 104, 51, 99, 54, []byte{0, 255})
	f.Add(16, 16, 30, 0, 4, -1, -16, 8, 4096, 2160, []byte{1})
	f.Add(16, 16, 30, 1_000_000, -12, 1, 4096, 2048, 4096, 15, []byte{7, 200})
	f.Add(1, 4096, 30, 1_000_000, -12, 3, 3, 2, 33, 1985, []byte{9})
	f.Fuzz(func(t *testing.T, width, height, fps, bitrate, speed, threads, yStride, cStride, width2, height2 int,
		fill []byte) {
		large := func(w, h int) bool { return w > 0 && h > 0 && min(w, MaxSide+1)*min(h, MaxSide+1) > 1<<16 }
		if large(width, height) || large(width2, height2) || yStride > 1<<13 || cStride > 1<<13 {
			return // time, not correctness
		}
		c := Config{Width: width, Height: height, FPS: fps, Bitrate: Bitrate(bitrate), Speed: speed, Threads: threads}
		e, err := New(c)
		if err != nil {
			return
		}
		defer e.Close()
		encode := func(w, h int) {
			p := exactPicture(t, w, h, yStride, cStride, fill)
			for i := range 2 {
				if _, err := e.Encode(p, captureTime(i), i == 1); err == nil && (yStride < w || cStride < (w+1)/2) {
					t.Errorf("%v: rows of %d and %d bytes were taken for a picture of %dx%d", c, yStride, cStride, w, h)
				}
			}
		}
		encode(width, height)
		c.Width, c.Height = width2, height2
		if err := e.Reconfigure(c); err == nil {
			encode(width2, height2)
		}
	})
}

// exactPicture has planes that end with their last sample, where a guard page begins.
func exactPicture(t *testing.T, w, h, yStride, cStride int, fill []byte) *image.YCbCr {
	plane := func(stride, rows, width int) []byte {
		n := max(stride*(rows-1)+width, 0)
		b := guardedBytes(t, n)
		for i := range b {
			if len(fill) > 0 {
				b[i] = fill[i%len(fill)]
			}
		}
		return b
	}
	ch, cw := (h+1)/2, (w+1)/2
	return &image.YCbCr{
		Y: plane(yStride, h, w), Cb: plane(cStride, ch, cw), Cr: plane(cStride, ch, cw),
		YStride: yStride, CStride: cStride,
		SubsampleRatio: image.YCbCrSubsampleRatio420,
		Rect:           image.Rect(0, 0, w, h),
	}
}
