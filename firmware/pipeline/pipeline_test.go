package pipeline

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/v4l2test"
)

var vga = pixfmt.Layout{Format: pixfmt.YUYV, Width: 640, Height: 480, Stride: 1280, Size: 640 * 480 * 2}

// A timeRecorder is a Sink that remembers capture times and asks for no key frame.
type timeRecorder struct {
	at   []time.Duration
	keys int
	got  chan time.Duration
	hold chan struct{} // Send waits for it, if not nil
}

func (n *timeRecorder) KeyFrameWanted() bool { return false }

func (n *timeRecorder) Advise(time.Duration) (int, bool) { return 0, false }

func (n *timeRecorder) Send(frame []byte, key bool, at time.Duration) error {
	if n.hold != nil {
		<-n.hold
	}
	if key {
		n.keys++
	}
	n.at = append(n.at, at)
	if n.got != nil {
		n.got <- at
	}
	return nil
}

func newTestPipeline(t *testing.T, l pixfmt.Layout) (*Pipeline, *encoder.Encoder) {
	t.Helper()
	p, err := New(Config{Layout: l, Stages: &Stages{}})
	if err != nil {
		t.Fatal(err)
	}
	enc, err := encoder.New(encoder.Config{
		Width: l.Width, Height: l.Height, FPS: 30, Bitrate: 600_000, Speed: -12, Threads: 1,
	})
	if err != nil {
		p.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() { enc.Close(); p.Close() })
	return p, enc
}

func buffer(l pixfmt.Layout, at time.Duration) v4l2.Buffer {
	return v4l2.Buffer{Bytes: make([]byte, l.Size), Layout: l, At: at}
}

func TestNewestPictureWinsAndTheLossIsCounted(t *testing.T) {
	p, enc := newTestPipeline(t, vga)
	sink := &timeRecorder{got: make(chan time.Duration, 10), hold: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Encode(ctx, enc, sink) }()
	for !p.active.Load() {
		time.Sleep(time.Millisecond)
	}
	take := func(at time.Duration) {
		t.Helper()
		if err := p.convertBuffer(buffer(vga, at)); err != nil {
			t.Fatal(err)
		}
	}
	take(1)
	for len(p.ready) > 0 { // until the encoder has taken it and hangs in Send
		time.Sleep(time.Millisecond)
	}
	for at := time.Duration(2); at <= 5; at++ {
		take(at)
	}
	close(sink.hold)
	first, second := <-sink.got, <-sink.got
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if first != 1 || second != 5 {
		t.Errorf("frames of the pictures taken at %d and %d, want 1 and 5: the newest", first, second)
	}
	if got := p.stages.Replaced.Load(); got != 3 {
		t.Errorf("Replaced = %d, want 3", got)
	}
}

func TestNothingIsConvertedWithoutAStream(t *testing.T) {
	p, _ := newTestPipeline(t, vga)
	if err := p.convertBuffer(buffer(vga, 1)); err != nil {
		t.Fatal(err)
	}
	if len(p.ready) != 0 || p.stages.Convert.Count() != 0 {
		t.Error("a picture was made although nobody may see it")
	}
}

func TestStreamBeginsWithAFreshPicture(t *testing.T) {
	p, enc := newTestPipeline(t, vga)
	p.active.Store(true)
	if err := p.convertBuffer(buffer(vga, 1)); err != nil { // as at the very end of the stream before
		t.Fatal(err)
	}
	p.active.Store(false)
	sink := &timeRecorder{got: make(chan time.Duration, 10)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Encode(ctx, enc, sink) }()
	for !p.active.Load() {
		time.Sleep(time.Millisecond)
	}
	if err := p.convertBuffer(buffer(vga, 2)); err != nil {
		t.Fatal(err)
	}
	if at := <-sink.got; at != 2 {
		t.Errorf("first frame is of the picture taken at %d, want 2", at)
	}
	cancel()
	<-done
	if sink.keys != 1 {
		t.Errorf("%d key frames, want the first frame to be one", sink.keys)
	}
}

// A closedSink takes no frame.
type closedSink struct{ timeRecorder }

func (*closedSink) Send([]byte, bool, time.Duration) error { return errors.New("sink is closed") }

func TestPictureWhoseFrameIsRefusedIsFreeAgain(t *testing.T) {
	p, enc := newTestPipeline(t, vga)
	done := make(chan error, 1)
	go func() { done <- p.Encode(t.Context(), enc, &closedSink{}) }()
	for !p.active.Load() {
		time.Sleep(time.Millisecond)
	}
	if err := p.convertBuffer(buffer(vga, 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil || len(p.free) != pictureCount {
		t.Errorf("Encode = %v with %d pictures free, want the sink's error and all %d back",
			err, len(p.free), pictureCount)
	}
}

func TestBadJPEGIsCountedAndSkipped(t *testing.T) {
	l := pixfmt.Layout{Format: pixfmt.MJPG, Width: 640, Height: 480, Size: 640 * 480 * 2}
	p, _ := newTestPipeline(t, l)
	p.active.Store(true)
	b := buffer(l, 1)
	b.Bytes = []byte{0xff, 0xd8, 0xff, 0xd9}
	if err := p.convertBuffer(b); err != nil {
		t.Errorf("convertBuffer = %v, want nil: the next buffer is a new chance", err)
	}
	if got := p.stages.Unreadable.Load(); got != 1 {
		t.Errorf("Unreadable = %d, want 1", got)
	}
	if len(p.free) != pictureCount {
		t.Errorf("%d pictures free, want all %d back", len(p.free), pictureCount)
	}
}

// A garbledCamera gives buffers that cannot be decoded, and goes.
type garbledCamera struct {
	buffers int
	layout  pixfmt.Layout
}

func (c *garbledCamera) Layout() pixfmt.Layout   { return c.layout }
func (c *garbledCamera) Interval() time.Duration { return time.Second / 30 }
func (c *garbledCamera) Close() error            { return nil }
func (c *garbledCamera) String() string          { return "garbled" }

func (c *garbledCamera) Next(_ time.Duration, use func(v4l2.Buffer) error) error {
	b := buffer(c.layout, time.Duration(c.buffers)*time.Second/30)
	b.Bytes = []byte{0xff, 0xd8, 0xff, 0xd9}
	if c.buffers++; c.buffers == 10 {
		return v4l2.ErrGone
	}
	return use(b)
}

func TestUndecodableBuffersEndTheCaptureAndAreNoFirstPicture(t *testing.T) {
	var u unreadable
	for at := time.Second; at < time.Second+bufferTimeout; at += time.Second / 30 {
		u.add(at)
		if err := u.judge(); err != nil {
			t.Fatalf("after %v: %v, want patience for %v", at-time.Second, err, bufferTimeout)
		}
	}
	u.add(time.Second + bufferTimeout)
	if err := u.judge(); !errors.Is(err, v4l2.ErrUnusable) {
		t.Errorf("after %v: %v, want ErrUnusable", bufferTimeout, err)
	}
	l := pixfmt.Layout{Format: pixfmt.MJPG, Width: 640, Height: 480, Size: 640 * 480 * 2}
	for name, set := range map[string]func(*Pipeline){
		"all pictures wanted":        func(p *Pipeline) { p.active.Store(true) },
		"nobody wants pictures":      func(p *Pipeline) { p.active.Store(false) },
		"a stream of half the rate":  func(p *Pipeline) { p.active.Store(true); p.rate = newRate(time.Second/30, 15) },
		"a stream of a fifth":        func(p *Pipeline) { p.active.Store(true); p.rate = newRate(time.Second/30, 6) },
		"a board that leaves out":    func(p *Pipeline) { p.active.Store(true); p.share.divisor.Store(8) },
		"a picture that still waits": func(p *Pipeline) { p.ready <- <-p.free },
	} {
		p, _ := newTestPipeline(t, l)
		set(p)
		before := p.LastBuffer()
		began := false
		camera := &garbledCamera{layout: l}
		if err := p.Capture(camera, func() { began = true }); !errors.Is(err, v4l2.ErrGone) {
			t.Errorf("%s: Capture = %v, want ErrGone", name, err)
		}
		if moved := p.LastBuffer() > before; began || moved {
			t.Errorf("%s: first called %v, last buffer moved %v, want neither", name, began, moved)
		}
	}
}

func TestUndecodableBuffersAfterAPictureDoNotCountBesideThoseLeftOut(t *testing.T) {
	whole, err := os.ReadFile("../../encoder/convert/testdata/case-whole.jpg")
	if err != nil {
		t.Fatal(err)
	}
	l := pixfmt.Layout{Format: pixfmt.MJPG, Width: 640, Height: 480, Size: 640 * 480 * 2}
	for name, set := range map[string]func(*Pipeline){
		"a stream of half the rate": func(p *Pipeline) { p.rate = newRate(time.Second/30, 15) },
		"a board that leaves out":   func(p *Pipeline) { p.share.divisor.Store(2) },
	} {
		p, _ := newTestPipeline(t, l)
		p.active.Store(true)
		set(p)
		var last time.Duration // once the first buffer was refused
		for i := range 40 {
			b := v4l2.Buffer{Bytes: whole, Layout: l, At: time.Hour + time.Duration(i)*time.Second/30}
			if i > 10 {
				b.Bytes = whole[:len(whole)/2]
			}
			if err := p.convertBuffer(b); err != nil {
				t.Fatal(err)
			}
			if p.unreadable.inARow == 1 && last == 0 {
				last = p.LastBuffer()
			}
		}
		if got := p.LastBuffer(); got != last || p.unreadable.inARow < 10 {
			t.Errorf("%s: last buffer at %v with %d undecodable in a row, want it to stay at %v",
				name, got, p.unreadable.inARow, last)
		}
	}
}

func TestOneJPEGIsDecodedWhileNobodyWantsPictures(t *testing.T) {
	whole, err := os.ReadFile("../../encoder/convert/testdata/case-whole.jpg")
	if err != nil {
		t.Fatal(err)
	}
	camera, err := v4l2.OpenDriver(v4l2test.New(t, v4l2test.Step{Buf: whole[:20000], Repeat: 3},
		v4l2test.Step{Buf: whole, Repeat: 5}), v4l2.Request{Width: 640, Height: 480, Format: pixfmt.MJPG})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := newTestPipeline(t, camera.Layout())
	var unreadableAtFirst []int64
	err = p.Capture(camera, func() { unreadableAtFirst = append(unreadableAtFirst, p.stages.Unreadable.Load()) })
	if closeErr := camera.Close(); !errors.Is(err, v4l2.ErrSilent) || closeErr != nil {
		t.Errorf("Capture = %v, Close = %v, want ErrSilent at the script's end", err, closeErr)
	}
	if !slices.Equal(unreadableAtFirst, []int64{3}) || len(p.free) != pictureCount || len(p.ready) != 0 {
		t.Errorf("first called after %d unreadable, %d pictures free and %d waiting; want [3], all free",
			unreadableAtFirst, len(p.free), len(p.ready))
	}
}

func TestAdoptTakesAnotherFormatOfTheSameSizeOnly(t *testing.T) {
	p, _ := newTestPipeline(t, vga)
	mjpg := pixfmt.Layout{Format: pixfmt.MJPG, Width: 640, Height: 480, Size: 1 << 20}
	if err := p.Adopt(mjpg, time.Second/30); err != nil {
		t.Errorf("Adopt(%v) = %v, want nil", mjpg, err)
	}
	small := pixfmt.Layout{Format: pixfmt.YUYV, Width: 320, Height: 240, Stride: 640, Size: 320 * 240 * 2}
	if err := p.Adopt(small, time.Second/30); !errors.Is(err, ErrSize) {
		t.Errorf("Adopt(%v) = %v, want ErrSize", small, err)
	}
}

func TestNoAllocationForAPicture(t *testing.T) {
	p, enc := newTestPipeline(t, vga)
	p.active.Store(true)
	b, at := buffer(vga, 0), time.Duration(0)
	sink := &timeRecorder{at: make([]time.Duration, 0, 10_000)}
	allocs := testing.AllocsPerRun(200, func() {
		at += 33 * time.Millisecond
		b.At = at
		if err := p.convertBuffer(b); err != nil {
			t.Fatal(err)
		}
		pic := <-p.ready
		if err := p.sendFrame(enc, &pic.pixels.YCbCr, pic.at, sink); err != nil {
			t.Fatal(err)
		}
		p.free <- pic
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a picture through convert, encode and hand-over, want 0", allocs)
	}
	t.Logf("FIGURE Go allocations for a frame (convert, encode, hand-over): %v", allocs)
}
