// Frames against the pictures that were encoded, rates, and memory.

package encoder

import (
	"fmt"
	"os"
	"testing"
	"time"
	"unsafe"

	_ "github.com/krazycam/krazycam/encoder/oneheap" // as in camsource: memory is counted here
)

var vga = Config{Width: 640, Height: 480, FPS: 30, Bitrate: 600_000, Speed: -12}

func TestFramesDecodeToThePictureThatWentIn(t *testing.T) {
	cases := []struct {
		name          string
		width, height int
		least         float64 // dB; the pattern's noise does not fit into the smaller rates
	}{
		{"VGA", 640, 480, 30},
		{"not a multiple of a macroblock", 100, 52, 28},
		{"odd sides", 101, 53, 28},
		{"one macroblock", 16, 16, 28},
		{"one pixel", 1, 1, 20},
		{"a row", 64, 1, 20},
		{"4K", 4096, 2160, 28},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			pictures := 8
			bitrate := Bitrate(200_000 + 4*c.width*c.height)
			e := openEncoder(t, Config{Width: c.width, Height: c.height, FPS: 30, Bitrate: bitrate, Speed: -12})
			p, err := NewPicture(c.width, c.height)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			var frames [][]byte
			for i := range pictures {
				drawPattern(&p.YCbCr, i)
				f, err := e.Encode(&p.YCbCr, captureTime(i), false)
				if err != nil {
					t.Fatalf("picture %d: %v", i, err)
				}
				if f.Key != (i == 0) {
					t.Errorf("picture %d: Key = %v", i, f.Key)
				}
				frames = append(frames, append([]byte(nil), f.Bytes...))
			}
			planes := decodeLuma(t, c.width, c.height, frames)
			if len(planes) != pictures {
				t.Fatalf("ffmpeg made %d pictures of %d frames", len(planes), pictures)
			}
			for i, plane := range planes {
				drawPattern(&p.YCbCr, i)
				if got := lumaPSNR(&p.YCbCr, plane); got < c.least {
					t.Errorf("picture %d: PSNR %.1f dB, want %.1f or more", i, got, c.least)
				}
			}
		})
	}
}

func TestForcedKeyFrameComesAtOnceAndOnlyThen(t *testing.T) {
	e, p := openEncoder(t, vga), newPicture(640, 480)
	for i := range 100 {
		drawPattern(p, i)
		f, err := e.Encode(p, captureTime(i), i == 50)
		if err != nil {
			t.Fatal(err)
		}
		if want := i == 0 || i == 50; f.Key != want {
			t.Errorf("picture %d: Key = %v, want %v", i, f.Key, want)
		}
		if f.Quantizer < 0 || f.Quantizer > 127 {
			t.Errorf("picture %d: Quantizer = %d, want 0 to 127", i, f.Quantizer)
		}
		// RFC 6386 section 9.1: bit 0 of the first byte is 0 in a key frame.
		if len(f.Bytes) > 0 && (f.Bytes[0]&1 == 0) != f.Key {
			t.Errorf("picture %d: first byte %#x of a frame with Key = %v", i, f.Bytes[0], f.Key)
		}
	}
}

func TestRateFollowsSetBitrate(t *testing.T) {
	e, p := openEncoder(t, vga), newPicture(640, 480)
	n := 0
	run := func(pictures int) (bits float64) {
		for range pictures {
			drawPattern(p, n)
			f, err := e.Encode(p, captureTime(n), false)
			if err != nil {
				t.Fatal(err)
			}
			bits += float64(8 * len(f.Bytes))
			n++
		}
		return bits * 30 / float64(pictures)
	}
	for _, b := range []Bitrate{600_000, 300_000, 1_000_000} {
		if err := e.SetBitrate(b); err != nil {
			t.Fatal(err)
		}
		run(60) // the buffer of 1 s settles
		if got := run(90); got < 0.8*float64(b) || got > 1.15*float64(b) {
			t.Errorf("at %v: measured %.0f bit/s", b, got)
		}
	}
}

func TestEncodeAllocatesNothing(t *testing.T) {
	e, p := openEncoder(t, vga), newPicture(640, 480)
	drawPattern(p, 0)
	n := 0
	if got := testing.AllocsPerRun(50, func() {
		if _, err := e.Encode(p, captureTime(n), n%20 == 0); err != nil {
			t.Fatal(err)
		}
		n++
	}); got != 0 {
		t.Errorf("Encode: %v allocations, want 0", got)
	}
}

func TestManyBitratesAndEncodersLeakNothing(t *testing.T) {
	e := openEncoder(t, vga)
	p := newPicture(64, 48)
	cycle := func(n int) {
		for i := range n {
			if err := e.SetBitrate(Bitrate(100_000 + i%1000*1000)); err != nil {
				t.Fatal(err)
			}
			if i%100 != 0 {
				continue
			}
			small, err := New(Config{Width: 64, Height: 48, FPS: 30, Bitrate: 100_000, Speed: -12})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := small.Encode(p, 0, false); err != nil {
				t.Fatal(err)
			}
			small.Close()
		}
	}
	cycle(5000)
	before := residentMemory(t)
	// A leak of one configuration (400 bytes) each time would show as 20 MB, of an encoder as 500 MB.
	cycle(50_000)
	grown := residentMemory(t) - before
	t.Logf("FIGURE encoder: memory after 50,000 changes of the bitrate and 500 more encoders %+d kB", grown>>10)
	if grown > 8<<20 {
		t.Errorf("resident memory grew by %d kB", grown>>10)
	}
}

// residentMemory is the process's own memory in bytes, from /proc/self/statm.
func residentMemory(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skipf("needs /proc: %v", err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func TestPictureMemoryIsAligned(t *testing.T) {
	p, err := NewPicture(101, 53)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, plane := range [][]byte{p.Y, p.Cb, p.Cr} {
		if a := uintptr(unsafe.Pointer(&plane[0])); a%rowAlignment != 0 {
			t.Errorf("plane at %#x: not aligned to %d", a, rowAlignment)
		}
	}
	drawPattern(&p.YCbCr, 3)
	for _, size := range [][2]int{{0, 1}, {1, -1}, {MaxSide + 1, 2}} {
		if p, err := NewPicture(size[0], size[1]); err == nil {
			p.Close()
			t.Errorf("NewPicture(%d, %d) succeeded", size[0], size[1])
		}
	}
}

func TestOddTimesDoNotStopTheStream(t *testing.T) {
	e, p := openEncoder(t, vga), newPicture(640, 480)
	for i, when := range []time.Duration{time.Hour, time.Hour, 0, -1 << 63, 1<<63 - 1, 1<<63 - 1, 5} {
		drawPattern(p, i)
		if _, err := e.Encode(p, when, false); err != nil {
			t.Errorf("picture %d at %v: %v", i, when, err)
		}
	}
}
