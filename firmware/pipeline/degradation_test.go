package pipeline

import (
	"image"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/firmware/overload"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

var qvga = pixfmt.Layout{Format: pixfmt.YUYV, Width: 320, Height: 240, Stride: 640, Size: 320 * 240 * 2}

// A board is a pipeline without goroutines, whose processor takes as long as the test says.
type board struct {
	*testing.T
	p     *Pipeline
	enc   *encoder.Encoder
	sink  *shelf
	now   time.Duration
	steps []string
	sizes []image.Point // of key frames
}

func newBoard(t *testing.T) *board {
	b := &board{T: t, sink: &shelf{}}
	b.p, b.enc = newTestPipeline(t, qvga)
	b.p.live.Store(true)
	b.p.relief.told = func(why overload.Reason, _ overload.Rung, _ image.Point) { b.steps = append(b.steps, string(why)) }
	b.p.ease(time.Second/30, b.enc.Config())
	return b
}

// runs lets the camera give pictures for a while; whole is how long one of full size takes.
func (b *board) runs(d, whole time.Duration) {
	b.Helper()
	for end := b.now + d; b.now < end; b.now += time.Second / 30 {
		if err := b.p.take(buffer(qvga, b.now)); err != nil {
			b.Fatal(err)
		}
		if len(b.p.ready) == 0 {
			continue
		}
		s := <-b.p.ready
		picture, err := b.p.relief.fit(&s.picture.YCbCr)
		if err == nil {
			err = b.p.frame(b.enc, picture, s.at, b.sink)
		}
		b.p.free <- s
		shrink := b.p.relief.rung.Shrink
		b.p.last = outcome{encoded: b.now, busy: whole / time.Duration(shrink*shrink), every: s.every, quantizer: 40}
		if err == nil {
			err = b.p.observe(b.enc)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, f := range b.sink.frames {
		if f[0]&1 == 0 { // RFC 6386 section 9.1
			b.sizes = append(b.sizes, image.Pt(int(f[6])|int(f[7])<<8, int(f[8])|int(f[9])<<8))
		}
	}
	b.sink.frames = nil
}

func TestSlowBoardGivesUpRateThenSizeAndComesBack(t *testing.T) {
	b := newBoard(t)
	b.runs(10*time.Second, 10*time.Millisecond)
	if shed := b.p.stages.Shed.Load(); shed != 0 {
		t.Errorf("%d pictures left out although there was time", shed)
	}
	b.runs(10*time.Second, 40*time.Millisecond) // half the rate: 2 s of 30, 8 s of 15
	if shed := b.p.stages.Shed.Load(); shed < 108 || shed > 122 {
		t.Errorf("%d pictures left out in 8 s of half the rate, want about 115", shed)
	}
	b.runs(10*time.Second, 150*time.Millisecond)
	b.runs(130*time.Second, 10*time.Millisecond)
	want := []image.Point{{320, 240}, {160, 120}, {320, 240}}
	if diff := cmp.Diff(want, b.sizes); diff != "" {
		t.Errorf("sizes of the key frames (-want +got):\n%s", diff)
	}
	// Down to half rate, down to half size, then a third of the rate whole, half, all.
	if diff := cmp.Diff([]string{string(overload.Load), string(overload.Load), string(overload.Better), string(overload.Better), string(overload.Better)}, b.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if n := b.p.share.n.Load(); n != 1 || b.p.relief.small != nil {
		t.Errorf("in the end one of %d pictures, small one %v; want all, whole", n, b.p.relief.small)
	}
}

func TestNextStreamBeginsWithAllPicturesWhole(t *testing.T) {
	b := newBoard(t)
	b.runs(10*time.Second, 300*time.Millisecond)
	if b.p.relief.small == nil {
		t.Fatal("the board was not slow enough for a smaller picture")
	}
	b.p.unease()
	if b.p.relief.small != nil || b.p.share.n.Load() > 1 || b.p.relief.told == nil {
		t.Errorf("after the stream: %+v, one of %d pictures", b.p.relief, b.p.share.n.Load())
	}
}

func TestOneCoreAddsUpItsStages(t *testing.T) {
	for _, c := range []struct {
		cores int
		want  time.Duration
	}{{1, 30}, {2, 20}, {4, 20}} {
		if got := busiest(20, 10, c.cores); got != c.want {
			t.Errorf("busiest(20, 10) on %d cores = %d, want %d", c.cores, got, c.want)
		}
	}
}
