package encoder

import (
	"errors"
	"image"
	"math"
	"testing"
)

func TestPSNRIsThatOfADecoder(t *testing.T) {
	for _, size := range [][2]int{{640, 480}, {101, 53}} {
		w, h := size[0], size[1]
		for threads := 1; threads <= 2; threads++ {
			e := open(t, Config{Width: w, Height: h, FPS: 30, Bitrate: 600_000, Speed: -12, Threads: threads})
			p := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
			if _, err := e.PSNR(p); err == nil {
				t.Error("PSNR before the first frame: no error")
			}
			var frames [][]byte
			var got, want []float64
			for i := range 20 {
				draw(p, i)
				f, err := e.Encode(p, at(i), false)
				if err != nil || len(f.Bytes) == 0 {
					t.Fatalf("picture %d: %d bytes, %v", i, len(f.Bytes), err)
				}
				frames = append(frames, append([]byte(nil), f.Bytes...))
				db, err := e.PSNR(p)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, db)
			}
			for i, plane := range decode(t, w, h, frames) {
				draw(p, i)
				want = append(want, psnr(p, plane))
			}
			for i := range want {
				if math.Abs(got[i]-want[i]) > 1e-6 {
					t.Errorf("%dx%d, %d threads, picture %d: %.4f dB, ffmpeg's decoder gives %.4f", w, h, threads, i, got[i], want[i])
				}
			}
		}
	}
	e := open(t, vga)
	e.Close()
	if _, err := e.PSNR(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("PSNR after Close: %v, want ErrClosed", err)
	}
}
