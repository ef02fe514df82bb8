package firmware

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/krazycam/krazycam/farend/farendtest"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/machine"
	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/v4l2"
)

// A desk is a real gateway and a real receiver on 127.0.0.1.
type desk struct {
	*farendtest.Desk
	url    string
	refuse atomic.Bool // answers everything with 4011
	asked  atomic.Int32
	newIDs atomic.Int32 // requests for one
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return newDeskWith(t, nil)
}

// newDeskWith makes one whose gateway offers updates, if offer is not nil.
func newDeskWith(t *testing.T, offer func(context.Context, string, wire.Board, string) *wire.Update) *desk {
	t.Helper()
	d := &desk{Desk: farendtest.New(t, farendtest.Config{Key: "k", KeepAlive: 5 * time.Second, Offer: offer})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.asked.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if bytes.Contains(body, []byte(wire.ActionNewUtilizationID)) {
			d.newIDs.Add(1)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if d.refuse.Load() {
			http.Error(w, `{"error_code": 5031}`, http.StatusServiceUnavailable)
			return
		}
		d.Gateway.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// source makes one that streams the pattern to the desk.
func (d *desk) source(t *testing.T) *Source {
	t.Helper()
	c := config.Default()
	c.Camera.Device = "pattern"
	c.Stream = config.Stream{
		Size: config.Size{Width: 320, Height: 240}, FPS: 30, Bitrate: 400_000, Speed: -12, Threads: 1,
	}
	c.Gateway = config.Gateway{URL: d.url, Key: "k", AllowHTTP: true, AllowLoopback: true}
	return &Source{
		Config: c, StateDir: t.TempDir(), CNAME: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// start runs a source until stop is called, which returns how long that took.
func start(t *testing.T, s *Source) (stop func() time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(cancel)
	return func() time.Duration {
		t.Helper()
		begin := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil when it is told to end", err)
		}
		return time.Since(begin)
	}
}

// eventually waits for something that other goroutines bring about.
func eventually(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func TestStreamBeginsWithTheGrantAndEndsWithStop(t *testing.T) {
	d := newDesk(t)
	d.refuse.Store(true)
	s := d.source(t)
	stop := start(t, s)
	eventually(t, "the gateway is asked", 5*time.Second, func() bool { return d.asked.Load() > 0 })
	time.Sleep(500 * time.Millisecond) // 15 pictures that nobody may see
	if n := d.Receiver.Totals().Datagrams; n != 0 || s.Stages().Encode.Count() != 0 {
		t.Errorf("without a grant %d packets came and %d pictures were encoded, want none",
			n, s.Stages().Encode.Count())
	}
	d.refuse.Store(false)
	eventually(t, "60 frames", 15*time.Second, func() bool { return d.Stats().Frames >= 60 })
	st := d.Stats()
	if st.Lost != 0 || st.Width != 320 || st.Height != 240 {
		t.Errorf("receiver: lost %d, %dx%d; want 0, 320x240", st.Lost, st.Width, st.Height)
	}
	if took := stop(); took > 2*time.Second {
		t.Errorf("the end took %v, want at most 2 s", took)
	}
	if d.IsActive(t) {
		t.Error("the gateway still thinks that the stream is active: no stop_stream")
	}
}

func TestUtilizationIDOutlivesTheProgram(t *testing.T) {
	d := newDesk(t)
	s := d.source(t)
	for range 2 {
		frames := d.Stats().Frames
		stop := start(t, &Source{Config: s.Config, StateDir: s.StateDir, CNAME: "test", Log: s.Log})
		eventually(t, "frames", 10*time.Second, func() bool {
			return d.Stats().Frames != frames && d.IsActive(t)
		})
		stop()
	}
	files, err := filepath.Glob(filepath.Join(s.StateDir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("state folder holds %v (%v), want the one id", files, err)
	}
	if b, err := os.ReadFile(files[0]); err != nil || len(b) == 0 {
		t.Errorf("%s: %q, %v", files[0], b, err)
	}
	if got := d.newIDs.Load(); got != 1 {
		t.Errorf("%d ids were asked for, want 1", got)
	}
}

// A looseCable is a camera that goes away after some pictures.
type looseCable struct {
	*v4l2.Pattern
	left int
}

func (c *looseCable) Next(timeout time.Duration, use func(v4l2.Buffer) error) error {
	if c.left == 0 {
		return v4l2.ErrGone
	}
	c.left--
	return c.Pattern.Next(timeout, use)
}

func TestStreamOutlivesAPulledCable(t *testing.T) {
	d := newDesk(t)
	s := d.source(t)
	var opened, missing atomic.Int32
	s.openCamera = func() (pipeline.Camera, error) {
		if missing.Add(-1) >= 0 {
			return nil, v4l2.ErrNoCamera
		}
		p, err := v4l2.NewPattern(320, 240, 30)
		if err != nil {
			return nil, err
		}
		missing.Store(5) // then the cable is out for five looks
		if opened.Add(1) == 1 {
			return &looseCable{p, 30}, nil
		}
		return p, nil
	}
	var streams atomic.Int32
	s.Ready = func(string) { streams.Add(1) }
	stop := start(t, s)
	eventually(t, "90 frames", 15*time.Second, func() bool { return d.Stats().Frames >= 90 })
	stop()
	if got := s.Stages().Outages.Load(); got != 1 {
		t.Errorf("Outages = %d, want 1", got)
	}
	if streams.Load() != 1 {
		t.Errorf("%d streams, want one that goes on after the cable is back", streams.Load())
	}
	if lost := d.Stats().Lost; lost != 0 {
		t.Errorf("%d packets lost, want 0: a missing picture is no missing packet", lost)
	}
}

// On the BeagleBone only root may open the kernel's log; camsource gives up root in Opened.
func TestHealthOpensTheKernelsLogBeforeRightsAreGivenUp(t *testing.T) {
	open := func() bool {
		links, err := filepath.Glob("/proc/self/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(links, func(l string) bool {
			target, err := os.Readlink(l)
			return err == nil && target == "/dev/kmsg"
		})
	}
	probe := machine.OpenHealth(fstest.MapFS{})
	readable := open()
	if probe.Close(); open() {
		t.Fatal("close left the log open")
	}
	refused := errors.New("rights stay")
	s := &Source{Log: slog.New(slog.DiscardHandler)}
	s.openCamera = func() (pipeline.Camera, error) { return &silentCamera{}, nil }
	s.Opened = func() error {
		if open() != readable {
			t.Errorf("the kernel's log is open: %v, want %v", !readable, readable)
		}
		return refused
	}
	if err := s.Run(t.Context()); !errors.Is(err, refused) || open() {
		t.Errorf("Run = %v, the log is still open: %v", err, open())
	}
}
