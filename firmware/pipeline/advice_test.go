// What the network's advice makes of pictures and frames.

package pipeline

import (
	"testing"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// An adviser is a sink that says one thing after the other and counts bytes.
type adviser struct {
	shelf
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

// film shoots pictures, 30 a second, from *n on: a pattern that wanders, with enough that is
// new in each to spend the bits, and not so much that the encoder leaves out most of them.
func film(t *testing.T, p *Pipeline, enc *encoder.Encoder, sink Sink, n *int, count int) {
	t.Helper()
	for range count {
		*n++
		s := <-p.free
		for i := range s.picture.Y {
			x, y := i%320, i/320
			s.picture.Y[i] = byte(64 + (x+*n)/4 + y/4 + (x*y+*n*x)>>6&15)
		}
		clear(s.picture.Cb)
		clear(s.picture.Cr) // the memory is C's: what was in it would be a picture too
		s.at = time.Duration(*n) * time.Second / 30
		if err := p.shoot(enc, s, sink); err != nil {
			t.Fatal(err)
		}
		p.free <- s
	}
}

func TestHeldPicturesLeaveTheirBitsUnspent(t *testing.T) {
	p, enc := newTestPipeline(t, pixfmt.Layout{Format: pixfmt.YU12, Width: 320, Height: 240, Stride: 320, Size: 320 * 240 * 3 / 2})
	sink, n := &adviser{rate: 300_000}, 0
	p.narrow.owner = enc.Config().Bitrate
	film(t, p, enc, sink, &n, 90)
	before := sink.bytes()
	film(t, p, enc, sink, &n, 30)
	usual := sink.bytes() - before
	sink.hold = true
	film(t, p, enc, sink, &n, 30)
	if got := sink.bytes() - before - usual; got != 0 || p.stages.Held.Load() != 30 {
		t.Errorf("%d bytes left while 30 pictures were to be held, %d counted", got, p.stages.Held.Load())
	}
	sink.hold = false
	before = sink.bytes()
	film(t, p, enc, sink, &n, 30)
	if after := sink.bytes() - before; after > usual*5/4 {
		t.Errorf("%d bytes in the second after a held one, %d in one before: its bits were spent all the same", after, usual)
	}
}

func TestKeyFramesAreSmallOnlyWhereThePathTurnedOutNarrow(t *testing.T) {
	p, enc := newTestPipeline(t, pixfmt.Layout{Format: pixfmt.YU12, Width: 320, Height: 240, Stride: 320, Size: 320 * 240 * 3 / 2})
	sink, n := &adviser{}, 0
	p.narrow.owner = enc.Config().Bitrate
	for _, step := range []struct {
		rate int
		want bool
	}{{300_000, false}, {400_000, false}, {600_000, false}, {350_000, true}, {500_000, true}, {600_000, false}} {
		sink.rate = step.rate
		film(t, p, enc, sink, &n, 2)
		if p.narrow.is != step.want || int(enc.Config().Bitrate) != step.rate {
			t.Errorf("at %d bit/s: narrow %v, want %v; the encoder is at %v", step.rate, p.narrow.is, step.want, enc.Config().Bitrate)
		}
	}
}
