// What the tests share: a moving picture made of integers only, an IVF file around frames, and a
// decoder that is not ours.

package encoder

import (
	"bytes"
	"encoding/binary"
	"image"
	"math"
	"os/exec"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// drawPattern paints picture n of a moving pattern: a gradient that slides, a square that
// crosses it and some noise from a fixed congruence, so that no frame is free.
func drawPattern(p *image.YCbCr, n int) {
	noise := uint32(n)*2654435761 + 1
	w, h := p.Rect.Dx(), p.Rect.Dy()
	for y := range h {
		for x := range w {
			noise = noise*1664525 + 1013904223
			v := 40 + (x+2*n)*120/(w+1)%160 + y*40/h + int(noise>>29)
			if dx, dy := x-3*n%w, y-h/3; dx >= 0 && dx < w/6 && dy >= 0 && dy < h/4 {
				v = 220
			}
			p.Y[y*p.YStride+x] = uint8(v)
		}
	}
	for y := range (h + 1) / 2 {
		for x := range (w + 1) / 2 {
			p.Cb[y*p.CStride+x] = uint8(96 + (x+n)%64)
			p.Cr[y*p.CStride+x] = uint8(96 + (y+n)%64)
		}
	}
}

func newPicture(width, height int) *image.YCbCr {
	return image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
}

// captureTime is the capture time of picture n at 30 pictures a second.
func captureTime(n int) time.Duration { return time.Duration(n) * time.Second / 30 }

// openEncoder opens an encoder that the test closes.
func openEncoder(t testing.TB, c Config) *Encoder {
	t.Helper()
	e, err := New(c)
	if err != nil {
		t.Fatalf("New(%+v): %v", c, err)
	}
	t.Cleanup(e.Close)
	return e
}

// ivfFile writes frames as the IVF container has them: header of 32 bytes, then for each
// frame its length and time stamp.
func ivfFile(width, height int, frames [][]byte) []byte {
	le := binary.LittleEndian
	b := append([]byte("DKIF"), 0, 0, 32, 0)
	b = append(b, "VP80"...)
	b = le.AppendUint16(le.AppendUint16(b, uint16(width)), uint16(height))
	b = le.AppendUint32(le.AppendUint32(b, 30), 1)
	b = le.AppendUint32(le.AppendUint32(b, uint32(len(frames))), 0)
	for i, f := range frames {
		b = le.AppendUint64(le.AppendUint32(b, uint32(len(f))), uint64(i))
		b = append(b, f...)
	}
	return b
}

// decodeLuma returns the luma planes that ffmpeg makes of the frames.
func decodeLuma(t *testing.T, width, height int, frames [][]byte) [][]byte {
	t.Helper()
	need.Tools(t, "ffmpeg")
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "ivf", "-i", "-", "-fps_mode", "passthrough",
		"-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
	cmd.Stdin = bytes.NewReader(ivfFile(width, height, frames))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	raw, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("ffmpeg on %d frames of %dx%d: %v: %s", len(frames), width, height, err, complaints.Bytes())
	}
	size := width*height + 2*((width+1)/2)*((height+1)/2)
	var planes [][]byte
	for ; len(raw) >= size; raw = raw[size:] {
		planes = append(planes, raw[:width*height])
	}
	return planes
}

// lumaPSNR compares the luma of p with a plane without padding, in dB.
func lumaPSNR(p *image.YCbCr, plane []byte) float64 {
	w, h, sum := p.Rect.Dx(), p.Rect.Dy(), 0.0
	for y := range h {
		for x := range w {
			d := float64(p.Y[y*p.YStride+x]) - float64(plane[y*w+x])
			sum += d * d
		}
	}
	return 10 * math.Log10(255*255*float64(w*h)/max(sum, 1e-9))
}
