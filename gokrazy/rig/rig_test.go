// The rig: the image that is flashed, unmodified, booted in QEMU with a webcam that plays a
// stamped clip, against our gateway and receiver and two decoders that nobody here wrote.
// One boot serves all assertions.

package rig

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/farendtest"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

const (
	rigKey = "key-of-the-rig"

	rigMinFPS    = 25
	rigMaxP50    = 60 * time.Millisecond
	rigMaxReplug = 1500 * time.Millisecond
	rigMinPSNR   = 38       // dB, each of Y, U and V
	rigMaxMemory = 64 << 10 // kB of camsource; the smallest board has 512 MB
	// rigSettle is left out of the delays: encoder and emulator still warm up.
	rigSettle  = 2 * time.Second
	rigMeasure = 10 * time.Second
)

var rigSize = virtualcam.Size{Width: 320, Height: 240}

// A rig is the board in its VM and all that is around it.
type rig struct {
	*vm.Machine
	board    string // for figures: rpi or bbb
	slower   calibration
	source   *rigSource
	tap      *tap
	decoders []*decoder    // GStreamer, and ffmpeg once the first picture is seen
	second   chan *decoder // ffmpeg, started with the first grant
	gateway  int           // port
	rtcpPort int
	asked    chan time.Time // of the first request to the gateway
	capture  string         // packet dump of all that the board sent and got
	outage   atomic.Bool    // the gateway answers nobody
	refused  string         // nor a board that runs this version; set before the start
	far      *farendtest.Desk
}

// builtImage is the path of the image, or the end of the test. KRAZYCAM_IMAGE names another
// one than scripts/image makes.
func builtImage(t *testing.T) string {
	t.Helper()
	path := os.Getenv("KRAZYCAM_IMAGE")
	if path == "" {
		path = "../../out/rpi.img"
	}
	need.File(t, path, "build it with scripts/image")
	return path
}

// stampedFace is the talking head, stamped.
func stampedFace(t *testing.T) *rigSource {
	t.Helper()
	need.Tools(t, "ffmpeg", "npm")
	path := run(t, nil, "../../scripts/clip", "face-mjpeg", fmt.Sprintf("%dx%d", rigSize.Width, rigSize.Height))
	clip, err := virtualcam.OpenClip(path[strings.LastIndexByte(path, '\n')+1:])
	if err != nil {
		t.Fatal(err)
	}
	if err := clip.StampPictures(); err != nil {
		t.Fatal(err)
	}
	return &rigSource{pictureSource: clip}
}

// startFarEnd serves gateway and receiver until the test ends. before runs ahead of the
// first grant.
func (g *rig) startFarEnd(t *testing.T, before func()) {
	t.Helper()
	rtcp := listenUDP(t)
	g.rtcpPort = rtcp.LocalAddr().(*net.UDPAddr).Port
	g.far = farendtest.New(t, farendtest.Config{Key: rigKey, RTP: g.tap, RTCP: rtcp, Before: before})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.gateway = listener.Addr().(*net.TCPAddr).Port
	g.asked = make(chan time.Time, 1)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case g.asked <- time.Now():
		default: // not the first
		}
		said, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || g.outage.Load() || bytes.Contains(said, fmt.Appendf(nil, `"version":%q`, g.refused)) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(said))
		g.far.Gateway.ServeHTTP(w, r)
	})}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	t.Cleanup(func() {
		web.Close()
		<-ended
	})
}

// seed is what camctl flash would write onto the card of this board.
func (g *rig) seed(t *testing.T) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{
		"gateway": map[string]any{"url": fmt.Sprintf("http://10.0.2.2:%d/", g.gateway), "key": rigKey, "allow-http": true},
		"camera":  map[string]any{"format": "MJPG"},
		"stream":  map[string]any{"size": fmt.Sprintf("%dx%d", rigSize.Width, rigSize.Height), "fps": 30},
		"time":    map[string]any{"ntp": []string{"10.0.2.2"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// startRig boots the image; all of it ends with the test.
func startRig(ctx context.Context, t *testing.T, image string) *rig {
	t.Helper()
	need.Tools(t, "qemu-system-aarch64", "gst-launch-1.0", "ffmpeg", "tshark")
	g := &rig{
		board: strings.TrimSuffix(filepath.Base(image), ".img"), source: stampedFace(t),
		second: make(chan *decoder, 1), capture: filepath.Join(t.TempDir(), "board.pcap"),
	}
	gst, ff := freePort(t), freePort(t)
	g.tap = newTap(t, gst, ff)
	g.decoders = []*decoder{startGStreamer(t, g.source, rigSize, gst)}
	g.startFarEnd(t, func() { g.second <- startFFmpeg(t, g.source, rigSize, ff) })
	console, err := os.Create(filepath.Join(t.TempDir(), "console.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { console.Close() })
	g.Machine, err = vm.Start(ctx, vm.Config{
		Image: image, Snapshot: true, Seed: g.seed(t), Camera: virtualcam.New(g.source), Console: console,
		QEMUArgs: []string{"-object", "filter-dump,id=dump,netdev=n,file=" + g.capture},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Close()
		if t.Failed() {
			lines := g.Lines()
			for _, l := range lines[max(0, len(lines)-60):] {
				t.Logf("console %7.3f %s", l.At.Sub(g.Started()).Seconds(), l.Text)
			}
		}
	})
	return g
}

// stopDecoders ends them before the long look at the packets: ffmpeg complains about 10 s without any.
func (g *rig) stopDecoders() {
	for _, d := range g.decoders {
		d.stop()
	}
}

func hashOf(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestFlashedImageStreamsTheCameraToIndependentDecodersInVM(t *testing.T) {
	image := builtImage(t)
	before := hashOf(t, image)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	g := startRig(ctx, t, image)
	g.checkStart(ctx, t)
	g.checkStream(ctx, t)
	g.checkReplug(ctx, t)
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	g.stopDecoders()
	g.checkWire(t)
	if after := hashOf(t, image); after != before {
		t.Errorf("sha256 of the image = %s afterwards, %s before", after, before)
	}
}
