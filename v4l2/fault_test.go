package v4l2

import (
	"bytes"
	"testing"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// headerOf is a JPEG of a size, as far as judgeBuffer looks.
func headerOf(width, height int, before ...byte) []byte {
	b := append([]byte{0xff, 0xd8}, before...)
	b = append(b, 0xff, 0xc0, 0, 11, 8, byte(height>>8), byte(height), byte(width>>8), byte(width), 1, 1, 0x11, 0)
	return append(b, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0x12, 0x34)
}

func TestBufferIsNotAJPEGOfItsLayout(t *testing.T) {
	l := pixfmt.Layout{Format: pixfmt.MJPG, Width: 640, Height: 480, Size: 1000}
	huffman := []byte{0xff, 0xc4, 0, 3, 9}
	field := headerOf(640, 240)
	for _, c := range []struct {
		name string
		b    []byte
		want cause
	}{
		{"the size that was agreed on", headerOf(640, 480), delivered},
		{"behind other segments and fill bytes", headerOf(640, 480, append(huffman, 0xff, 0xff)...), delivered},
		{"an end marker in a segment", headerOf(640, 480, 0xff, 0xe4, 0, 4, 0xff, 0xd9), delivered},
		{"a part of the data, for the decoder to judge", append(headerOf(640, 480), 0xff, 0xd3, 1), delivered},
		{"anything behind the end", append(headerOf(640, 480), "\xff\xd9 anything"...), delivered},
		{"whole blocks", headerOf(640, 488), delivered},
		{"whole blocks in both directions", headerOf(655, 495), delivered},
		{"a block more", headerOf(640, 496), resized},
		{"a smaller size", headerOf(320, 240), resized},
		{"a larger size behind other segments", headerOf(1280, 720, huffman...), resized},
		{"width and height exchanged", headerOf(480, 640), resized},
		{"as large as can be", headerOf(65535, 65535), resized},
		{"one field", field, resized},
		{"two fields", append(append(bytes.Clone(field), 0xff, 0xd9, 0, 0), field...), delivered},
		{"no height, which is for the decoder to judge", headerOf(640, 0), delivered},
		{"no frame header, which is for the decoder to judge",
			[]byte{0xff, 0xd8, 0xff, 0xda, 0, 2, 1, 2, 3, 4, 0xff, 0xd9}, delivered},
		{"bytes too many in the header, for the decoder to judge",
			[]byte{0xff, 0xd8, 1, 2, 3, 4}, delivered},
		{"no JPEG", make([]byte, 4096), truncated},
		{"cut in its header", headerOf(640, 480)[:13], truncated},
		{"cut before its data", headerOf(640, 480)[:20], truncated},
		{"cut behind its start", []byte{0xff, 0xd8, 0xff}, truncated},
	} {
		if got := judgeBuffer(l, &Filled{Bytes: c.b}); got != c.want {
			t.Errorf("%s: judgeBuffer = %d, want %d", c.name, got, c.want)
		}
	}
}

func TestLastRowOfABufferNeedsNoPadding(t *testing.T) {
	l, err := pixfmt.New(pixfmt.YUYV, 640, 480, 1344)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]cause{479*1344 + 1280: delivered, 480 * 1344: delivered, 1 << 20: delivered,
		479*1344 + 1279: short} {
		if got := judgeBuffer(l, &Filled{Bytes: make([]byte, n)}); got != want {
			t.Errorf("%d bytes: judgeBuffer = %d, want %d", n, got, want)
		}
	}
}

func TestJudgingABufferAllocatesNothing(t *testing.T) {
	l := pixfmt.Layout{Format: pixfmt.MJPG, Width: 640, Height: 480, Size: 1000}
	f := &Filled{Bytes: append(headerOf(640, 240), headerOf(640, 240)...)}
	if got := testing.AllocsPerRun(100, func() { judgeBuffer(l, f) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

func FuzzJPEGHeader(f *testing.F) {
	f.Add(headerOf(640, 480))
	f.Add([]byte{0xff, 0xd8, 0xff, 0xc4, 0, 0, 0xff, 0xc4, 0, 0})
	f.Add([]byte{0xff, 0xd8, 0xff, 0xe0, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		h := readJPEGHeader(b)
		if h.scan < 0 || h.scan > len(b) || h.cut && h.scan > 0 {
			t.Errorf("%+v of %d bytes", h, len(b))
		}
		judgeBuffer(pixfmt.Layout{Format: pixfmt.MJPG, Width: 640, Height: 480, Size: 1000}, &Filled{Bytes: b})
	})
}

func BenchmarkJudgeJPEG(b *testing.B) {
	l := pixfmt.Layout{Format: pixfmt.MJPG, Width: 1280, Height: 720, Size: 1000}
	f := &Filled{Bytes: append(headerOf(1280, 720), make([]byte, 150_000)...)}
	for b.Loop() {
		judgeBuffer(l, f)
	}
}
