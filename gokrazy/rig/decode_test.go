// The rig's decoders: GStreamer and ffmpeg, each a process of its own that turns RTP into
// raw pictures, and the reading of those.

package rig

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
	"github.com/krazycam/krazycam/v4l2/virtualcam/stamp"
)

// pictureSource is a source that knows its pictures without stamp.
type pictureSource interface {
	virtualcam.Source
	Picture(f pixfmt.FourCC, s virtualcam.Size, n uint32) (*image.YCbCr, error)
}

// A rigSource remembers in which format the host asked last.
type rigSource struct {
	pictureSource
	mu     sync.Mutex
	format pixfmt.FourCC
	size   virtualcam.Size
}

// FillBuffer implements virtualcam.Source.
func (r *rigSource) FillBuffer(f pixfmt.FourCC, s virtualcam.Size, n uint32, due time.Time) ([]byte, error) {
	r.mu.Lock()
	r.format, r.size = f, s
	r.mu.Unlock()
	return r.pictureSource.FillBuffer(f, s, n, due)
}

// original is picture n as the camera sent it, but for the stamp.
func (r *rigSource) original(n uint32) (*image.YCbCr, error) {
	r.mu.Lock()
	f, s := r.format, r.size
	r.mu.Unlock()
	return r.Picture(f, s, n)
}

// compareEach is how many decoded pictures go by for each that is compared: a JPEG in Go
// and three planes take 3 ms, on two cores that also emulate the board.
const compareEach = 5

// A decoder is a running process and what came out of it.
type decoder struct {
	name   string
	size   virtualcam.Size
	source *rigSource
	stderr bytes.Buffer // read once the process has ended
	stop   func()       // ends the process, once

	mu    sync.Mutex
	seen  []sighting
	error error
	fit   fidelity
}

// startDecoder runs a program that writes raw I420 pictures of size s to its stdout. It ends with
// stop, at the latest with the test.
func startDecoder(t *testing.T, source *rigSource, s virtualcam.Size, name string, args ...string) *decoder {
	t.Helper()
	d := &decoder{name: name, size: s, source: source}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &d.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); d.read(out) }()
	d.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		_ = cmd.Wait()          // killed
		if d.stderr.Len() > 0 { // both are told to be silent but for warnings
			t.Errorf("%s complains: %s", name, d.stderr.String())
		}
	})
	t.Cleanup(d.stop)
	return d
}

// startGStreamer decodes with a jitter buffer of 20 ms. Smaller pictures, which a board that is too
// slow sends, are enlarged, so that all that come out have the size that is read.
func startGStreamer(t *testing.T, source *rigSource, s virtualcam.Size, port netip.AddrPort) *decoder {
	return startDecoder(t, source, s, "gst-launch-1.0", "-q", "udpsrc", "address=127.0.0.1",
		fmt.Sprintf("port=%d", port.Port()),
		"caps=application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000", "!",
		"rtpjitterbuffer", "latency=20", "!", "rtpvp8depay", "!", "vp8dec", "!",
		"videoscale", "!", fmt.Sprintf("video/x-raw,format=I420,width=%d,height=%d", s.Width, s.Height), "!",
		"fdsink", "fd=1", "sync=false")
}

// startFFmpeg decodes what an SDP announces, and returns when it listens. It gives up
// after 10 s without a packet, so it cannot wait for the board to boot.
// Its output keeps the stream's clock of 90 kHz: on one of 30 Hz, which ffmpeg takes for a stream
// that begins with 30 pictures a second, two pictures of a busy board fall on one tick, and ffmpeg
// complains about them ("non monotonically increasing dts").
func startFFmpeg(t *testing.T, source *rigSource, s virtualcam.Size, port netip.AddrPort) *decoder {
	sdp := filepath.Join(t.TempDir(), "stream.sdp")
	text := fmt.Sprintf("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=rig\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"+
		"m=video %d RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n", port.Port())
	if err := os.WriteFile(sdp, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDecoder(t, source, s, "ffmpeg", "-nostdin", "-loglevel", "warning",
		"-protocol_whitelist", "file,udp,rtp", "-threads", "1",
		"-i", sdp, "-fps_mode", "passthrough", "-enc_time_base", "-1", "-s", fmt.Sprintf("%dx%d", s.Width, s.Height),
		"-pix_fmt", "yuv420p", "-f", "rawvideo", "pipe:1")
	waitBound(t, port)
	return d
}

// waitBound waits until somebody listens on a UDP port of the loopback.
func waitBound(t *testing.T, port netip.AddrPort) {
	t.Helper()
	row := fmt.Sprintf(":%04X ", port.Port()) // proc(5): local address in hexadecimal
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-tick.C {
		b, err := os.ReadFile("/proc/net/udp")
		if err != nil {
			t.Error(err)
			return
		}
		if bytes.Contains(b, []byte(row)) {
			return
		}
	}
	t.Errorf("nobody listens on %v", port)
}

// read takes pictures until the process ends.
func (d *decoder) read(out io.Reader) {
	b := make([]byte, d.size.Width*d.size.Height*3/2)
	for n := 0; ; n++ {
		if _, err := io.ReadFull(out, b); err != nil {
			return
		}
		now := time.Now()
		mark, ok := stamp.Read(b, d.size.Width, 1)
		d.mu.Lock()
		d.seen = append(d.seen, sighting{now, mark.Number, mark.Age(now), ok})
		d.mu.Unlock()
		if ok && n%compareEach == 0 {
			d.compare(b, mark.Number)
		}
	}
}

func (d *decoder) compare(b []byte, n uint32) {
	m, err := d.source.original(n)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil:
		d.error = err
	case m.Rect.Dx() != d.size.Width || m.Rect.Dy() != d.size.Height:
		d.error = fmt.Errorf("the camera shows %v, the decoder was started for %v", m.Rect, d.size)
	default:
		d.fit.add(b, m)
	}
}

// sightings are the pictures so far.
func (d *decoder) sightings() []sighting {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]sighting(nil), d.seen...)
}

// fitness is the comparison so far.
func (d *decoder) fitness(t *testing.T) fidelity {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.error != nil {
		t.Error(d.error)
	}
	return d.fit
}

// firstMadeAfter waits for a picture that the camera made after t.
func (d *decoder) firstMadeAfter(ctx context.Context, t time.Time) (sighting, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, s := range d.sightings() {
			if s.readable && s.at.Add(-s.age).After(t) {
				return s, nil
			}
		}
		select {
		case <-ctx.Done():
			return sighting{}, fmt.Errorf("%s gave no picture that was made after %v: %w",
				d.name, t.Format(time.StampMilli), ctx.Err())
		case <-tick.C:
		}
	}
}
