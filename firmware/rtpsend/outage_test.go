// A receiver that restarts: a real rtpbin. KRAZYCAM_LONG=1 leaves it away for a minute, as
// long as the circuit breaker's pauses. Outages of the link are in cmd/camsource.

package rtpsend

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// decodes counts what GStreamer's fakesink says of decoded frames.
type decodes struct {
	mu sync.Mutex
	n  int
}

func (d *decodes) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n += bytes.Count(b, []byte("last-message = chain"))
	return len(b), nil
}

// reach waits until n frames were decoded and says how long that took.
func (d *decodes) reach(t *testing.T, n int, limit time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	for time.Since(began) < limit {
		d.mu.Lock()
		got := d.n
		d.mu.Unlock()
		if got >= n {
			return time.Since(began)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not %d frames decoded within %v", n, limit)
	return 0
}

// watched starts rtpbin with feedback and counts what it decodes.
func (l *link) watched(t *testing.T) (*exec.Cmd, *decodes) {
	t.Helper()
	c, d := l.rtpbin(true), &decodes{}
	c.Stdout = d
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	l.waitForPort(t, l.rtp)
	l.waitForPort(t, l.rtcp)
	return c, d
}

// revolve sends the clip round and round until the returned function is called.
func revolve(t *testing.T, s *Sender, frames [][]byte) (stop func()) {
	t.Helper()
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second / clipFPS)
		defer tick.Stop()
		for next := 0; ; next++ {
			if next == len(frames) || s.KeyFrameWanted() {
				next = 0
			}
			if err := s.Send(frames[next], next == 0, monotonic()); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
	}()
	return sync.OnceFunc(func() { close(quit); <-done })
}

// outage is how long one lasts.
func outage() time.Duration {
	if os.Getenv("KRAZYCAM_LONG") != "" {
		return time.Minute
	}
	return 6 * time.Second
}

func TestStreamIsBackAfterGStreamerRestarted(t *testing.T) {
	need.Tools(t, "ffmpeg", "gst-launch-1.0", "ip")
	_, frames := clip(t)
	l := newLink(t)
	s := l.open(t)
	defer revolve(t, s, frames)()
	first, decoded := l.watched(t)
	decoded.reach(t, 60, 20*time.Second)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	time.Sleep(outage())
	_, decoded = l.watched(t)
	took := decoded.reach(t, 1, 20*time.Second)
	t.Logf("FIGURE receiver restarted after %v: first frame decoded %v after it listens", outage(),
		took.Round(time.Millisecond))
	if took > 3*time.Second {
		t.Errorf("%v until the first frame, want 3 s: %+v", took, s.Stats())
	}
}
