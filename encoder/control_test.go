// Changes while the stream runs.

package encoder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"strings"
	"testing"
)

func TestReconfigureChangesSizeRateAndThreadsInOneStream(t *testing.T) {
	e := openEncoder(t, vga)
	var frames [][]byte
	var sizes []image.Point
	n := 0
	steps := []struct {
		change func(*Config)
		key    bool
	}{
		{func(*Config) {}, true}, // the stream's first
		{func(c *Config) { c.Bitrate = 300_000 }, false},
		{func(c *Config) { c.FPS, c.Speed = 10, -16 }, false},
		{func(c *Config) { c.Width, c.Height = 320, 240 }, true},
		{func(c *Config) { c.Width, c.Height = 101, 53 }, true},
		{func(c *Config) { c.Threads = 2 }, true},
		{func(c *Config) { c.Width, c.Height = 1280, 720 }, true},
	}
	config := vga
	for i, s := range steps {
		s.change(&config)
		if err := e.Reconfigure(config); err != nil {
			t.Fatal(err)
		}
		p := newPicture(config.Width, config.Height)
		for j := range 3 {
			drawPattern(p, n)
			f, err := e.Encode(p, captureTime(n), false)
			if err != nil {
				t.Fatalf("%v: %v", config, err)
			}
			if want := s.key && j == 0; f.Key != want {
				t.Errorf("step %d, frame %d: Key = %v, want %v", i, j, f.Key, want)
			}
			if f.Key { // RFC 6386 section 9.1: width and height in 14 bits each
				le := binary.LittleEndian
				width, height := le.Uint16(f.Bytes[6:])&0x3fff, le.Uint16(f.Bytes[8:])&0x3fff
				sizes = append(sizes, image.Pt(int(width), int(height)))
			}
			frames = append(frames, bytes.Clone(f.Bytes))
			n++
		}
	}
	want := []image.Point{{640, 480}, {320, 240}, {101, 53}, {101, 53}, {1280, 720}}
	if len(sizes) != len(want) {
		t.Fatalf("key frames of %v, want %v", sizes, want)
	}
	for i := range want {
		if sizes[i] != want[i] {
			t.Errorf("key frame %d is %v, want %v", i, sizes[i], want[i])
		}
	}
	decodeLuma(t, 640, 480, frames) // ffmpeg complains about nothing
}

func TestReconfigureThatFailsLeavesTheStreamAsItWas(t *testing.T) {
	e, p := openEncoder(t, vga), newPicture(640, 480)
	for _, change := range []func(*Config){
		func(c *Config) { c.Bitrate = 0 }, func(c *Config) { c.Width = 0 }, func(c *Config) { c.Height = 20000 },
		func(c *Config) { c.FPS = 0 }, func(c *Config) { c.Speed = 3 }, func(c *Config) { c.Threads = 77 },
	} {
		c := vga
		change(&c)
		if err := e.Reconfigure(c); err == nil {
			t.Errorf("Reconfigure(%+v) succeeded", c)
		}
		if _, err := e.Encode(p, 0, false); err != nil || e.config.Bitrate != vga.Bitrate {
			t.Errorf("after a refused %+v: %v, %v", c, e.config, err)
		}
	}
}

func TestControlsAreSetByNameAndRefusedInLibvpxsWords(t *testing.T) {
	e, p := openEncoder(t, vga), newPicture(640, 480)
	for c, values := range map[Control][2]int{ // a good one, a bad one
		ControlSpeed:           {-5, 5},
		ControlNoise:           {3, 7},
		ControlStaticThreshold: {500, -1},
		ControlMaxIntra:        {450, -1},
		ControlGoldenBoost:     {50, -1},
		ControlTokenPartitions: {2, 4},
	} {
		if err := e.SetControl(c, values[0]); err != nil {
			t.Error(err)
		}
		err := e.SetControl(c, values[1])
		if c == ControlStaticThreshold || c == ControlMaxIntra || c == ControlGoldenBoost {
			continue // unsigned to libvpx: it takes anything
		}
		if err == nil || !strings.Contains(err.Error(), c.String()) {
			t.Errorf("set %v to %d: error %v", c, values[1], err)
		}
	}
	err := e.SetControl(ControlNoise, 99)
	if err == nil || !strings.Contains(err.Error(), "noise_sensitivity out of range") {
		t.Errorf("error %v lacks libvpx's own words", err)
	}
	if err := e.SetControl(Control(99), 0); err == nil {
		t.Error("an unknown control was set")
	}
	if _, err := e.Encode(p, 0, false); err != nil {
		t.Error(err)
	}
	e.Close()
	if err := e.SetControl(ControlNoise, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("SetControl: %v, want ErrClosed", err)
	}
	if err := e.Reconfigure(vga); !errors.Is(err, ErrClosed) {
		t.Errorf("Reconfigure: %v, want ErrClosed", err)
	}
}

func TestManyReconfigurationsLeakNothing(t *testing.T) {
	e, n := openEncoder(t, vga), 0
	big, little := newPicture(640, 480), newPicture(320, 240)
	cycle := func(times int) {
		for range times {
			n++
			c, p := vga, big
			if n%2 == 0 {
				c.Width, c.Height, p = 320, 240, little
			}
			c.Bitrate = Bitrate(200_000 + n%10*50_000)
			if err := e.Reconfigure(c); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Encode(p, captureTime(n), false); err != nil {
				t.Fatal(err)
			}
		}
	}
	cycle(300)
	before := residentMemory(t)
	cycle(300) // an encoder of 640x480 takes about 4 MB: 150 of them would be 600 MB
	grown := residentMemory(t) - before
	if grown > 8<<20 {
		t.Errorf("resident memory grew by %d kB", grown>>10)
	}
	t.Logf("FIGURE resident memory over 300 changes of size and bitrate: %+d kB", grown>>10)
}
