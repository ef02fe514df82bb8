package firmware

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"testing"
	"time"

	_ "github.com/krazycam/krazycam/encoder/oneheap" // as in camsource
	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/firmware/rtpsend"
	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// A meteredSink is a sender that says when the encoder takes up a picture.
type meteredSink struct {
	*rtpsend.Sender
	taken chan struct{}
}

func (m *meteredSink) KeyFrameWanted() bool {
	m.taken <- struct{}{}
	return m.Sender.KeyFrameWanted()
}

func (m *meteredSink) Advise(time.Duration) (int, bool) { return 0, false }

// A jpegCamera gives JPEGs, one in fifty broken as the bus breaks some every day. It gives the
// next one when the encoder has taken up the one before, so that none is replaced.
type jpegCamera struct {
	whole, broken []byte
	layout        pixfmt.Layout
	n, left       int
	stages        *pipeline.Stages
	taken         chan struct{}
}

func (r *jpegCamera) Layout() pixfmt.Layout   { return r.layout }
func (r *jpegCamera) Interval() time.Duration { return 0 }
func (r *jpegCamera) Close() error            { return nil }
func (r *jpegCamera) String() string          { return "JPEGs" }

func (r *jpegCamera) Next(_ time.Duration, use func(v4l2.Buffer) error) error {
	if r.left == 0 {
		return io.EOF
	}
	b := v4l2.Buffer{Bytes: r.whole, Layout: r.layout, At: time.Duration(r.n+1) * 33 * time.Millisecond}
	if r.n%50 == 49 {
		b.Bytes = r.broken
	}
	converted, unreadable := r.stages.Convert.Count(), r.stages.Unreadable.Load()
	if err := use(b); err != nil {
		return err
	}
	switch {
	case r.stages.Convert.Count() > converted:
		<-r.taken
	case r.stages.Unreadable.Load() == unreadable: // the encoder has not begun yet
		return nil
	}
	r.n++
	r.left--
	return nil
}

// unread opens a sender to two sockets of this process that nobody reads.
func unread(t *testing.T, path rtpsend.Path) *rtpsend.Sender {
	t.Helper()
	var to [2]netip.AddrPort
	for i := range to {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		to[i] = c.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	s, err := rtpsend.Open(rtpsend.Config{
		RTP: to[0], RTCP: to[1], CNAME: "test", Path: path, Monotonic: v4l2.Now,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestHundredThousandFramesLeaveTheMemoryFlat(t *testing.T) {
	jpeg, err := os.ReadFile("../encoder/convert/testdata/face-422.jpg")
	if err != nil {
		t.Fatal(err)
	}
	l := pixfmt.Layout{Format: pixfmt.MJPG, Width: 96, Height: 64, Size: 96 * 64 * 2}
	var stages pipeline.Stages
	p, enc := newTestPipeline(t, l, &stages)
	path := newNetwork(600_000, &stages, slog.New(slog.DiscardHandler))
	taken := make(chan struct{}, 1)
	sink := &meteredSink{unread(t, path), taken}
	camera := &jpegCamera{whole: jpeg, broken: jpeg[:len(jpeg)/2], layout: l, stages: &stages, taken: taken}
	ctx, cancel := context.WithCancel(t.Context())
	encoded := make(chan error, 1)
	go func() { encoded <- p.Encode(ctx, enc, sink) }()
	defer func() {
		cancel()
		if err := <-encoded; err != nil {
			t.Error(err)
		}
	}()
	frames := func(count int) {
		camera.left = count
		if err := p.Capture(camera, nil); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	frames(5000) // stacks, queues and libc's arenas have their size
	for try := 1; ; try++ {
		debug.FreeOSMemory() // Go keeps what it collects for a while
		before := resident(t)
		frames(100_000)
		debug.FreeOSMemory()
		grown := resident(t) - before
		// 100,000 leaks of the smallest block of malloc, 32 bytes, would be 3.2 MB. An arena
		// of libc grows once, and what other tests left behind goes once, which would hide a
		// leak; a leak grows each time. The race detector itself takes 2 MB: not with it.
		if -2<<20 <= grown && grown <= 2<<20 {
			t.Logf("FIGURE resident memory over 100,000 frames (MJPG, encode, RTP): %+d kB", grown>>10)
			break
		}
		t.Logf("try %d: %+d kB over 100,000 frames", try, grown>>10)
		if try == 4 {
			t.Fatal("resident memory did not stay within 2 MB of itself in any of four stretches")
		}
	}
}

// Packets and pictures pass through the network's lock thousands of times a minute.
func TestNetworkAllocatesNothing(t *testing.T) {
	n := newNetwork(600_000, &pipeline.Stages{}, slog.New(slog.DiscardHandler))
	now := time.Duration(0)
	allocs := testing.AllocsPerRun(1000, func() {
		now += 33 * time.Millisecond
		n.Advise(now)
		n.NoteSent(now, 1200, 1160)
		n.NoteArrival(now, now+20*time.Millisecond, 1200)
		n.EndArrivals(now+40*time.Millisecond, now, 0)
		n.NoteReport(now+40*time.Millisecond, 0, now, 0, 1200)
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a picture, a packet and reports about it, want 0", allocs)
	}
}
