package v4l2

import (
	"testing"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// frameHeader is a JPEG of a size, as far as fault looks.
func frameHeader(width, height int, before ...byte) []byte {
	b := append([]byte{0xff, 0xd8}, before...)
	return append(b, 0xff, 0xc0, 0, 11, 8, byte(height>>8), byte(height), byte(width>>8), byte(width), 1, 1, 0x11,
		0, 0xff, 0xd9)
}

func TestBufferIsNotAJPEGOfItsLayout(t *testing.T) {
	l := pixfmt.Layout{Format: pixfmt.MJPG, Width: 640, Height: 480, Size: 1000}
	huffman := []byte{0xff, 0xc4, 0, 3, 9}
	for _, c := range []struct {
		name string
		b    []byte
		want cause
	}{
		{"the size that was agreed on", frameHeader(640, 480), delivered},
		{"behind other segments and fill bytes", frameHeader(640, 480, append(huffman, 0xff, 0xff)...), delivered},
		{"a smaller size", frameHeader(320, 240), resized},
		{"a larger size behind other segments", frameHeader(1280, 720, huffman...), resized},
		{"width and height exchanged", frameHeader(480, 640), resized},
		{"no frame header, which is for the decoder to judge",
			[]byte{0xff, 0xd8, 0xff, 0xda, 0, 2, 1, 2, 3, 4, 0xff, 0xd9}, delivered},
		{"cut", frameHeader(640, 480)[:13], truncated},
	} {
		if got := judgeBuffer(l, &Filled{Bytes: c.b}); got != c.want {
			t.Errorf("%s: judgeBuffer = %d, want %d", c.name, got, c.want)
		}
	}
}

func FuzzJPEGSize(f *testing.F) {
	f.Add(frameHeader(640, 480))
	f.Add([]byte{0xff, 0xd8, 0xff, 0xc4, 0, 0, 0xff, 0xc4, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if w, h, ok := readJPEGSize(b); !ok && w+h != 0 {
			t.Errorf("size %dx%d of nothing", w, h)
		}
	})
}
