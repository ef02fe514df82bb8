// Configurations, pictures and bitrates that are refused.

package encoder

import (
	"errors"
	"image"
	"math"
	"strings"
	"testing"
)

func TestWrongConfigurationsAreRefused(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no size", func(c *Config) { c.Width = 0 }, "size 0x480"},
		{"a negative size", func(c *Config) { c.Height = -1 }, "size 640x-1"},
		{"a size that no board encodes", func(c *Config) { c.Width = 16384 }, "size 16384x480"},
		{"no bitrate", func(c *Config) { c.Bitrate = 0 }, "bitrate 0"},
		{"a negative bitrate", func(c *Config) { c.Bitrate = -5 }, "bitrate -5"},
		{"kbit/s where bit/s belong", func(c *Config) { c.Bitrate = 600 }, "bitrate 600"},
		{"an absurd bitrate", func(c *Config) { c.Bitrate = math.MaxInt32 }, "bitrate 2147483647"},
		{"a speed that lets libvpx choose", func(c *Config) { c.Speed = 4 }, "speed 4"},
		{"a speed out of range", func(c *Config) { c.Speed = -17 }, "speed -17"},
		{"no frame rate", func(c *Config) { c.FPS = 0 }, "0 fps"},
		{"threads out of range", func(c *Config) { c.Threads = 99 }, "99 threads"},
	}
	for _, c := range cases {
		config := vga
		c.change(&config)
		e, err := New(config)
		if err == nil {
			e.Close()
			t.Errorf("%s: New succeeded", c.name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %q does not say %q", c.name, err, c.want)
		}
	}
}

func TestWrongPicturesAreRefusedAndTheStreamGoesOn(t *testing.T) {
	good := func() *image.YCbCr { return newPicture(640, 480) }
	with := func(change func(*image.YCbCr)) *image.YCbCr { p := good(); change(p); return p }
	closed, err := NewPicture(640, 480)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	closed.Close()
	cases := []struct {
		name string
		p    *image.YCbCr
	}{
		{"nil", nil},
		{"zero", &image.YCbCr{}},
		{"closed", &closed.YCbCr},
		{"another size", newPicture(320, 240)},
		{"another subsampling", image.NewYCbCr(image.Rect(0, 0, 640, 480), image.YCbCrSubsampleRatio422)},
		{"no luma", with(func(p *image.YCbCr) { p.Y = nil })},
		{"no chroma", with(func(p *image.YCbCr) { p.Cr = nil })},
		{"a short plane", with(func(p *image.YCbCr) { p.Cb = p.Cb[:len(p.Cb)-1] })},
		{"a stride below the width", with(func(p *image.YCbCr) { p.YStride = 639 })},
		{"a negative stride", with(func(p *image.YCbCr) { p.CStride = -320 })},
		{"a stride beyond the plane", with(func(p *image.YCbCr) { p.CStride = 321 })},
		{"an absurd stride", with(func(p *image.YCbCr) { p.YStride = math.MaxInt32 })},
		{
			"an odd corner of a larger picture",
			newPicture(642, 482).SubImage(image.Rect(1, 1, 641, 481)).(*image.YCbCr),
		},
	}
	e := openEncoder(t, vga)
	for _, c := range cases {
		if _, err := e.Encode(c.p, 0, false); err == nil {
			t.Errorf("%s: Encode succeeded", c.name)
		}
	}
	part := newPicture(700, 500).SubImage(image.Rect(2, 2, 642, 482)).(*image.YCbCr)
	for _, p := range []*image.YCbCr{good(), part} {
		if f, err := e.Encode(p, 0, false); err != nil || len(f.Bytes) == 0 {
			t.Errorf("after wrong pictures: %d bytes, %v", len(f.Bytes), err)
		}
	}
}

func TestClosedEncoderSaysSo(t *testing.T) {
	e := openEncoder(t, vga)
	e.Close()
	e.Close()
	p := newPicture(640, 480)
	if _, err := e.Encode(p, 0, false); !errors.Is(err, ErrClosed) {
		t.Errorf("Encode: %v, want ErrClosed", err)
	}
	if err := e.SetBitrate(500_000); !errors.Is(err, ErrClosed) {
		t.Errorf("SetBitrate: %v, want ErrClosed", err)
	}
}

func TestSetBitrateKeepsTheOldOneIfTheNewIsWrong(t *testing.T) {
	e := openEncoder(t, vga)
	for _, b := range []Bitrate{0, -1, MaxBitrate + 1} {
		if err := e.SetBitrate(b); err == nil {
			t.Errorf("SetBitrate(%d) succeeded", b)
		}
	}
	if got := e.config.Bitrate; got != 600_000 {
		t.Errorf("bitrate is now %v, want 600 kbit/s", got)
	}
}
