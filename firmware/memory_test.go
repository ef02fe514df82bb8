package firmware

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend"
	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// A steered sink is a sender with the network that its packets tell of.
type steered struct {
	*rtpsend.Sender
	*network
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
	s, err := rtpsend.Open(rtpsend.Config{RTP: to[0], RTCP: to[1], CNAME: "test", Path: path, Monotonic: v4l2.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
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
	p, enc := newTestPipeline(t, l)
	p.live.Store(true)
	path := newNetwork(600_000, p.stages, slog.New(slog.DiscardHandler))
	sink := steered{unread(t, path), path}
	broken := jpeg[:len(jpeg)/2]
	n := 0
	frames := func(count int) {
		for range count {
			n++
			b := v4l2.Buffer{Bytes: jpeg, Layout: l, At: time.Duration(n) * 33 * time.Millisecond}
			if n%50 == 0 {
				b.Bytes = broken // the bus loses some, each day
			}
			if err := p.take(b); err != nil {
				t.Fatal(err)
			}
			if n%50 == 0 {
				continue
			}
			s := <-p.ready
			if err := p.frame(enc, &s.picture.YCbCr, s.at, sink); err != nil {
				t.Fatal(err)
			}
			p.free <- s
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
