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

// A simulatedBoard is a pipeline without goroutines, whose processor takes as long as the test says.
type simulatedBoard struct {
	*testing.T
	p     *Pipeline
	enc   *encoder.Encoder
	sink  *frameRecorder
	now   time.Duration
	steps []overload.Reason
	sizes []image.Point // of key frames
}

func newBoard(t *testing.T) *simulatedBoard {
	b := &simulatedBoard{T: t, sink: &frameRecorder{}}
	b.p, b.enc = newTestPipeline(t, qvga)
	b.p.active.Store(true)
	b.p.degradation.report = func(why overload.Reason, _ overload.Rung, _ image.Point) {
		b.steps = append(b.steps, why)
	}
	b.p.beginDegradation(time.Second/30, b.enc.Config())
	return b
}

// runs lets the camera give pictures for a while; whole is how long one of full size takes.
func (b *simulatedBoard) runs(d, whole time.Duration) {
	b.Helper()
	for end := b.now + d; b.now < end; b.now += time.Second / 30 {
		if err := b.p.convertBuffer(buffer(qvga, b.now)); err != nil {
			b.Fatal(err)
		}
		if len(b.p.ready) == 0 {
			continue
		}
		pic := <-b.p.ready
		pixels, err := b.p.degradation.shrinkPicture(&pic.pixels.YCbCr)
		if err == nil {
			err = b.p.sendFrame(b.enc, pixels, pic.at, b.sink)
		}
		b.p.free <- pic
		shrink := b.p.degradation.rung.Shrink
		b.p.lastResult = result{
			encodedAt: b.now, encodeTime: whole / time.Duration(shrink*shrink), interval: pic.interval, quantizer: 40,
		}
		if err == nil {
			err = b.p.reviewLoad(b.enc)
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
	steps := []overload.Reason{overload.Load, overload.Load, overload.Better, overload.Better, overload.Better}
	if diff := cmp.Diff(steps, b.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if n := b.p.share.divisor.Load(); n != 1 || b.p.degradation.small != nil {
		t.Errorf("in the end one of %d pictures, small one %v; want all, whole", n, b.p.degradation.small)
	}
}

func TestNextStreamBeginsWithAllPicturesWhole(t *testing.T) {
	b := newBoard(t)
	b.runs(10*time.Second, 300*time.Millisecond)
	if b.p.degradation.small == nil {
		t.Fatal("the board was not slow enough for a smaller picture")
	}
	b.p.endDegradation()
	if b.p.degradation.small != nil || b.p.share.divisor.Load() > 1 || b.p.degradation.report == nil {
		t.Errorf("after the stream: %+v, one of %d pictures", b.p.degradation, b.p.share.divisor.Load())
	}
}

func TestOneCoreAddsUpItsStages(t *testing.T) {
	for _, c := range []struct {
		cores int
		want  time.Duration
	}{{1, 30}, {2, 20}, {4, 20}} {
		if got := limitingTime(20, 10, c.cores); got != c.want {
			t.Errorf("limitingTime(20, 10) on %d cores = %d, want %d", c.cores, got, c.want)
		}
	}
}
