package firmware

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/gateway"
	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/firmware/ratecontrol"
	"github.com/krazycam/krazycam/v4l2"
)

// A stalledSink is a link whose queue is full until it is closed.
type stalledSink struct {
	sending chan struct{} // closed by the first Send
	closed  chan struct{}
}

func (s *stalledSink) KeyFrameWanted() bool { return false }

func (s *stalledSink) Advise(time.Duration) (int, bool) { return 0, false }

func (s *stalledSink) Send([]byte, bool, time.Duration) error {
	close(s.sending)
	<-s.closed
	return errors.New("sender is closed")
}

func (s *stalledSink) Close() error { close(s.closed); return nil }

func TestEndDoesNotWaitForALinkThatStalled(t *testing.T) {
	camera, err := v4l2.NewPattern(640, 480, 30)
	if err != nil {
		t.Fatal(err)
	}
	p, enc := newTestPipeline(t, camera.Layout(), &pipeline.Stages{})
	st := &stream{pipeline: p, failed: func(err error) {
		t.Errorf("the stream failed with %v, it was only asked to end", err)
	}}
	link := &stalledSink{make(chan struct{}), make(chan struct{})}
	end := st.startEncoding(enc, link, link.Close)
	captured := make(chan error, 1)
	go func() { captured <- p.Capture(camera, nil) }()
	t.Cleanup(func() {
		camera.Close()
		<-captured
	})
	<-link.sending
	done := make(chan error, 1)
	begin := time.Now()
	go func() { done <- end() }()
	select {
	case err := <-done: // the link itself never ends
		if took := time.Since(begin); err != nil || took < lastFrameTimeout {
			t.Errorf("end = %v after %v, want nil after %v", err, took, lastFrameTimeout)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("end still waits for the link after 20 s")
	}
}

// A full disk takes no SDP.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestBeginThatFailsFreesItsEncoder(t *testing.T) {
	p, _ := newTestPipeline(t, vga, &pipeline.Stages{})
	c := config.Config{Stream: config.Stream{FPS: 30, Bitrate: 600_000, Speed: -12, Threads: 1}}
	s := &Source{Config: c, SDP: fullDisk{}, Log: slog.New(slog.DiscardHandler)}
	st := &stream{source: s, pipeline: p}
	g := gateway.Grant{RTP: netip.MustParseAddrPort("127.0.0.1:9"), RTCP: netip.MustParseAddrPort("127.0.0.1:10")}
	fail := func(n int) {
		for range n {
			if err := st.Begin(t.Context(), g); err == nil {
				t.Fatal("Begin = nil, want the error of the SDP")
			}
		}
	}
	fail(5)
	before := resident(t)
	fail(30)
	runtime.GC()
	// An encoder of 640x480 takes about 8 MB of C memory.
	if grown := resident(t) - before; grown > 30<<20 {
		t.Errorf("30 failures to begin cost %d MB, want none", grown>>20)
	}
}

// resident is the memory of this process, C's too, in bytes (proc(5), statm).
func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func TestCutsAfterTheLastPictureAreCountedOnceAtTheStreamsEnd(t *testing.T) {
	var stages pipeline.Stages
	n := newNetwork(600_000, &stages, slog.New(slog.DiscardHandler))
	n.Advise(time.Second)
	n.NoteEstimate(2*time.Second, 100_000) // no picture comes any more
	if got := stages.Cuts[ratecontrol.Estimated].Load(); got != 0 {
		t.Fatalf("%d cuts counted before anybody asked, want 0", got)
	}
	n.reportCuts()
	n.reportCuts()
	if got := stages.Cuts[ratecontrol.Estimated].Load(); got != 1 {
		t.Errorf("%d cuts counted at the end, want 1", got)
	}
}

// A frame that is larger than what the owner allows in 2 s keeps the pictures after it back, in this
// stream and in the next one.
func TestPicturesAreHeldWhileAsMuchHasLeftAsTheOwnerAllows(t *testing.T) {
	p, _ := newTestPipeline(t, vga, &pipeline.Stages{})
	c := config.Config{Stream: config.Stream{FPS: 30, Bitrate: 600_000, Speed: -12, Threads: 1}}
	s := &Source{Config: c, Log: slog.New(slog.DiscardHandler)}
	st := &stream{source: s, pipeline: p}
	receiver, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // reads nothing
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	to := receiver.LocalAddr().(*net.UDPAddr).AddrPort()
	g := gateway.Grant{RTP: to, RTCP: to}
	for i, want := range []bool{false, true} {
		if err := st.Begin(t.Context(), g); err != nil {
			t.Fatal(err)
		}
		sink := &streamSink{Sender: st.sender, network: newNetwork(600_000, s.Stages(), s.Log), stream: st, grant: g}
		if _, held := sink.Advise(v4l2.Now()); held != want {
			t.Errorf("stream %d: its first picture is held: %v, want %v", i, held, want)
		}
		if err := sink.Send(make([]byte, 300_000), true, v4l2.Now()); err != nil {
			t.Fatal(err)
		}
		if _, held := sink.Advise(v4l2.Now()); !held {
			t.Errorf("stream %d: a picture is not held behind 300 kB at 600 kbit/s", i)
		}
		st.End()
	}
}
