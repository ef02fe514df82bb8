// PSNR against a decoder that is not ours.

package encoder

import (
	"errors"
	"math"
	"testing"
)

func TestPSNRIsThatOfADecoder(t *testing.T) {
	for _, size := range [][2]int{{640, 480}, {101, 53}} {
		w, h := size[0], size[1]
		for threads := 1; threads <= 2; threads++ {
			e := openEncoder(t, Config{Width: w, Height: h, FPS: 30, Bitrate: 600_000, Speed: -12, Threads: threads})
			p := newPicture(w, h)
			if _, err := e.MeasurePSNR(p); err == nil {
				t.Error("MeasurePSNR before the first frame: no error")
			}
			var frames [][]byte
			var got, want []float64
			for i := range 20 {
				drawPattern(p, i)
				f, err := e.Encode(p, captureTime(i), false)
				if err != nil || len(f.Bytes) == 0 {
					t.Fatalf("picture %d: %d bytes, %v", i, len(f.Bytes), err)
				}
				frames = append(frames, append([]byte(nil), f.Bytes...))
				db, err := e.MeasurePSNR(p)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, db)
			}
			for i, plane := range decodeLuma(t, w, h, frames) {
				drawPattern(p, i)
				want = append(want, lumaPSNR(p, plane))
			}
			for i := range want {
				if math.Abs(got[i]-want[i]) > 1e-6 {
					t.Errorf("%dx%d, %d threads, picture %d: %.4f dB, ffmpeg's decoder gives %.4f",
						w, h, threads, i, got[i], want[i])
				}
			}
		}
	}
	e := openEncoder(t, vga)
	e.Close()
	if _, err := e.MeasurePSNR(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("MeasurePSNR after Close: %v, want ErrClosed", err)
	}
}
