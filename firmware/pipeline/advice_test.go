// What the network's advice makes of pictures and frames.

package pipeline

import (
	"testing"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

var qvgaPlanar = pixfmt.Layout{Format: pixfmt.YU12, Width: 320, Height: 240, Stride: 320, Size: 320 * 240 * 3 / 2}

// An adviser is a sink that says one thing after the other and counts bytes.
type adviser struct {
	frameRecorder
	rate int
	hold bool
}

func (a *adviser) Advise(time.Duration) (int, bool) { return a.rate, a.hold }

func (a *adviser) bytes() (n int) {
	for _, f := range a.frames {
		n += len(f)
	}
	return n
}

// encodePattern encodes count pictures, 30 a second, from *n on: a pattern that moves, with
// enough news in each picture to spend the bits, and not so much that the encoder leaves out
// most of them.
func encodePattern(t *testing.T, p *Pipeline, enc *encoder.Encoder, sink Sink, n *int, count int) {
	t.Helper()
	for range count {
		*n++
		pic := <-p.free
		for i := range pic.pixels.Y {
			x, y := i%320, i/320
			pic.pixels.Y[i] = byte(64 + (x+*n)/4 + y/4 + (x*y+*n*x)>>6&15)
		}
		clear(pic.pixels.Cb)
		clear(pic.pixels.Cr) // the memory is C's: what was in it would be a picture too
		pic.at = time.Duration(*n) * time.Second / 30
		if err := p.encodePicture(enc, pic, sink); err != nil {
			t.Fatal(err)
		}
		p.free <- pic
	}
}

func TestHeldPicturesLeaveTheirBitsUnspent(t *testing.T) {
	p, enc := newTestPipeline(t, qvgaPlanar)
	sink, n := &adviser{rate: 300_000}, 0
	p.keyFrames.ownerRate = enc.Config().Bitrate
	encodePattern(t, p, enc, sink, &n, 90)
	before := sink.bytes()
	encodePattern(t, p, enc, sink, &n, 30)
	usual := sink.bytes() - before
	sink.hold = true
	encodePattern(t, p, enc, sink, &n, 30)
	if got := sink.bytes() - before - usual; got != 0 || p.stages.Held.Load() != 30 {
		t.Errorf("%d bytes left while 30 pictures were to be held, %d counted", got, p.stages.Held.Load())
	}
	sink.hold = false
	before = sink.bytes()
	encodePattern(t, p, enc, sink, &n, 30)
	if after := sink.bytes() - before; after > usual*5/4 {
		t.Errorf("%d bytes in the second after a held one, %d in one before: its bits were spent all the same",
			after, usual)
	}
}

func TestKeyFramesAreSmallOnlyWhereThePathTurnedOutNarrow(t *testing.T) {
	p, enc := newTestPipeline(t, qvgaPlanar)
	sink, n := &adviser{}, 0
	p.keyFrames.ownerRate = enc.Config().Bitrate
	for _, step := range []struct {
		rate int
		want bool
	}{
		{300_000, false}, {400_000, false}, {600_000, false},
		{350_000, true}, {480_000, true}, {600_000, false},
	} {
		sink.rate = step.rate
		encodePattern(t, p, enc, sink, &n, 2)
		if p.keyFrames.small != step.want || int(enc.Config().Bitrate) != step.rate {
			t.Errorf("at %d bit/s: small key frames %v, want %v; the encoder is at %v",
				step.rate, p.keyFrames.small, step.want, enc.Config().Bitrate)
		}
	}
}

// Of 80 kbit/s at 30 fps, headers take a fifth: a path that carries all of it gives 62 to VP8.
func TestKeyFramesOfALowRateAreLargeAgainOnceThePathCarriesIt(t *testing.T) {
	p, enc := newTestPipeline(t, qvgaPlanar)
	sink, n := &adviser{}, 0
	p.keyFrames.ownerRate = 80_000
	for _, step := range []struct {
		rate int
		want bool
	}{{62_000, false}, {40_000, true}, {46_000, true}, {62_000, false}} {
		sink.rate = step.rate
		encodePattern(t, p, enc, sink, &n, 2)
		if p.keyFrames.small != step.want {
			t.Errorf("at %d bit/s: small key frames %v, want %v", step.rate, p.keyFrames.small, step.want)
		}
	}
}
