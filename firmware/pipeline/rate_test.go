package pipeline

import (
	"testing"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

func TestRateLeavesOutWhatTheOwnerDidNotAskFor(t *testing.T) {
	for _, c := range []struct {
		name        string
		camera, fps int
		jitter      time.Duration // every other buffer comes that much late
		want        int           // pictures in 10 s
		encoder     int           // what the encoder is told
	}{
		{"as asked for", 30, 30, 12 * time.Millisecond, 300, 30},
		{"nearly as asked for", 31, 30, 12 * time.Millisecond, 310, 30},
		{"slower camera", 10, 30, 0, 100, 10},
		{"twice as fast", 30, 15, 8 * time.Millisecond, 150, 15},
		{"two of three", 30, 20, 8 * time.Millisecond, 200, 20},
		{"one of six", 30, 5, 8 * time.Millisecond, 50, 5},
		{"no wish", 60, 0, 0, 600, 60},
		{"a picture a second", 1, 30, 0, 10, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			interval := time.Second / time.Duration(c.camera)
			r, got := newRate(interval, c.fps), 0
			for i := range 10 * c.camera {
				at := time.Hour + time.Duration(i)*interval + time.Duration(i%2)*c.jitter
				if !r.leavesOut(at) {
					got++
				}
			}
			if got < c.want-1 || got > c.want+1 || r.encoderFPS() != c.encoder {
				t.Errorf("%d pictures, encoder at %d fps; want %d, %d", got, r.encoderFPS(), c.want, c.encoder)
			}
		})
	}
}

func TestRateGoesOnAfterAPauseAndABackwardClock(t *testing.T) {
	r := newRate(time.Second/30, 5)
	for _, at := range []time.Duration{time.Hour, 2 * time.Hour, time.Minute} {
		if r.leavesOut(at) {
			t.Errorf("the first buffer at %v is left out", at)
		}
		if !r.leavesOut(at + time.Second/30) {
			t.Errorf("the second buffer after %v is taken", at)
		}
	}
}

// The owner's bitrate holds whatever the camera delivers.
func TestFastCameraDoesNotExceedTheBitrate(t *testing.T) {
	l, err := pixfmt.New(pixfmt.YU12, 320, 240, 0)
	if err != nil {
		t.Fatal(err)
	}
	const limit, seconds = 300_000, 10
	p, _ := newTestPipeline(t, l)
	p.rate = newRate(time.Second/30, 5)
	enc, err := encoder.New(encoder.Config{
		Width: 320, Height: 240, FPS: p.FPS(), Bitrate: limit, Speed: -12, Threads: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	p.active.Store(true)
	b, sink := buffer(l, 0), &timeRecorder{}
	for i := range 30 * seconds {
		for j := range b.Bytes[:320*240] {
			b.Bytes[j] = byte(j/7 + j/320*3 + i*5 + int((uint32(j)*2654435761+uint32(i*40503>>3))>>13)&31)
		}
		b.At = time.Hour + time.Duration(i)*time.Second/30
		if err := p.convertBuffer(b); err != nil {
			t.Fatal(err)
		}
		select {
		case pic := <-p.ready:
			if err := p.sendFrame(enc, &pic.pixels.YCbCr, pic.at, sink); err != nil {
				t.Fatal(err)
			}
			p.free <- pic
		default:
		}
	}
	sent := p.stages.Bytes.Load() * 8 / seconds
	if sent > limit*13/10 {
		t.Errorf("%d bit/s were sent, the owner allows %d", sent, limit)
	}
	if got := p.stages.Surplus.Load(); got != 250 {
		t.Errorf("Surplus = %d, want 250 of 300 left out", got)
	}
}
