// The rig's own measuring instruments, tried against known input and against a stream that
// ffmpeg sends.

package rig

import (
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"io"
	"math"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

func rtpPacket(seq uint16, ssrc uint32, marker bool) []byte {
	b := make([]byte, 20)
	b[0], b[1] = 0x80, 96
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return b
}

func TestRTPCountFindsWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name string
		seqs []uint16
		lost int
	}{
		{"in order over the wrap", []uint16{65534, 65535, 0, 1}, 0},
		{"two lost", []uint16{10, 13}, 2},
		{"lost over the wrap", []uint16{65535, 2}, 2},
		{"late is not lost", []uint16{10, 12, 11, 13}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n rtpCount
			for _, seq := range c.seqs {
				n.add(rtpPacket(seq, 7, true), time.Unix(1, 0))
			}
			if n.lost != c.lost || n.packets != len(c.seqs) || n.frames != len(c.seqs) {
				t.Errorf("lost %d of %d, %d frames, want %d of %d", n.lost, n.packets, n.frames, c.lost, len(c.seqs))
			}
		})
	}
	var n rtpCount
	n.add(rtpPacket(5, 1, false), time.Unix(1, 0))
	n.add(rtpPacket(9000, 2, false), time.Unix(2, 0))
	n.add([]byte("no RTP at all"), time.Unix(3, 0))
	if n.lost != 0 || n.packets != 2 || n.first != time.Unix(1, 0) {
		t.Errorf("after a new SSRC: %+v, want nothing lost", n)
	}
}

func TestTapCountsAndHandsOn(t *testing.T) {
	ends := []*net.UDPConn{listenUDP(t), listenUDP(t)}
	x := newTap(t, ends[0].LocalAddr().(*net.UDPAddr).AddrPort(), ends[1].LocalAddr().(*net.UDPAddr).AddrPort())
	if _, err := listenUDP(t).WriteTo(rtpPacket(1, 1, true), x.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, _, err := x.ReadFrom(b); err != nil || n != 20 {
		t.Fatalf("the receiver got %d bytes, %v, want 20", n, err)
	}
	for i, c := range ends {
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(b); err != nil || n != 20 {
			t.Errorf("decoder %d got %d bytes, %v, want 20", i, n, err)
		}
	}
	if n := x.counted(); n.packets != 1 || n.frames != 1 {
		t.Errorf("counted %d packets, %d frames, want 1 and 1", n.packets, n.frames)
	}
}

func TestSummaryOfSightings(t *testing.T) {
	start := time.Unix(100, 0)
	var all []sighting
	for i, n := range []uint32{5, 6, 6, 9, 8, 10} {
		all = append(all, sighting{start.Add(time.Duration(i) * 100 * time.Millisecond), n,
			time.Duration(i+1) * time.Millisecond, true})
	}
	all = append(all, sighting{at: start.Add(time.Second)})
	r := summarize(all)
	if r.pictures != 7 || r.unreadable != 1 || r.repeated != 1 || r.backwards != 1 || r.missing != 1 {
		t.Errorf("summary = %v", r)
	}
	if math.Abs(r.fps-10) > 0.01 || r.p50 != 4*time.Millisecond || r.longest != 6*time.Millisecond {
		t.Errorf("summary = %v, want 10 fps, p50 4 ms, max 6 ms", r)
	}
	if r := summarize(all[:1]); r.pictures != 1 || r.fps != 0 {
		t.Errorf("summary of one = %v", r)
	}
}

func TestFidelityLooksAtEachPlaneBelowTheStamp(t *testing.T) {
	source := image.NewYCbCr(image.Rect(0, 0, 320, 240), image.YCbCrSubsampleRatio422)
	for i := range source.Cr {
		source.Cr[i] = 100
	}
	decoded := make([]byte, 320*240*3/2)
	for i := range 320 * 240 {
		decoded[i] = 255 // the stamp's rows must not count
		if i >= 320*64 {
			decoded[i] = 1
		}
	}
	for i := 320 * 240 * 5 / 4; i < len(decoded); i++ { // V
		decoded[i] = 110
	}
	var f fidelity
	f.add(decoded, source)
	want := [3]float64{48.13, 99, 28.13} // 20 log10(255/1), the same, 20 log10(255/10)
	for i, db := range f.planes() {
		if math.Abs(db-want[i]) > 0.01 || f.worst[i] != db {
			t.Errorf("plane %d = %.2f dB, want %.2f", i, db, want[i])
		}
	}
}

// sendWithFFmpeg encodes the source's YUYV pictures at 30 a second and sends RTP to port. late
// is when the last ten were still to come: some decoders keep a picture or two to themselves.
func sendWithFFmpeg(
	ctx context.Context, t *testing.T, source *rigSource, s virtualcam.Size, port, pictures int,
) (late time.Time) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "ffmpeg", "-loglevel", "error",
		"-f", "rawvideo", "-pix_fmt", "yuyv422", "-s", fmt.Sprintf("%dx%d", s.Width, s.Height),
		"-r", "30", "-i", "pipe:0", "-pix_fmt", "yuv420p", "-c:v", "libvpx", "-deadline", "realtime",
		"-cpu-used", "-8", "-lag-in-frames", "0", "-b:v", "1500k", "-g", "30",
		"-flush_packets", "1", "-f", "rtp", fmt.Sprintf("rtp://127.0.0.1:%d?pkt_size=1200", port))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Second / 30)
	defer tick.Stop()
	for n := range uint32(pictures) {
		if int(n) == pictures-10 {
			late = time.Now()
		}
		b, err := source.FillBuffer(pixfmt.YUYV, s, n, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write(b); err != nil {
			t.Fatal(err)
		}
		<-tick.C
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return late
}

func TestInstrumentsMeasureAStreamOfFFmpeg(t *testing.T) {
	need.Tools(t, "ffmpeg", "gst-launch-1.0")
	s := virtualcam.Size{Width: 320, Height: 240}
	source := &rigSource{pictureSource: virtualcam.NewPattern()}
	gstPort, ffPort := freePort(t), freePort(t)
	gst, ff := startGStreamer(t, source, s, gstPort), startFFmpeg(t, source, s, ffPort)
	x := newTap(t, gstPort, ffPort)
	go func() {
		b := make([]byte, 2048)
		for {
			if _, _, err := x.ReadFrom(b); err != nil {
				return // closed at the end of the test
			}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const pictures = 120
	late := sendWithFFmpeg(ctx, t, source, s, x.LocalAddr().(*net.UDPAddr).Port, pictures)
	n := x.counted()
	for end := time.Now().Add(5 * time.Second); n.frames < pictures && time.Now().Before(end); n = x.counted() {
		time.Sleep(5 * time.Millisecond) // what has left need not have been read yet
	}
	t.Logf("RTP: %d packets, %d frames, lost %d", n.packets, n.frames, n.lost)
	if n.lost != 0 || n.frames != pictures {
		t.Errorf("RTP: lost %d, %d frames, want 0 and %d", n.lost, n.frames, pictures)
	}
	for _, d := range []*decoder{gst, ff} {
		if _, err := d.firstMadeAfter(ctx, late); err != nil {
			t.Error(err)
		}
		r, fit := summarize(d.sightings()), d.fitness(t)
		t.Logf("%s: %v; %v", d.name, r, &fit)
		if r.unreadable != 0 || r.backwards != 0 || r.pictures < pictures/2 {
			t.Errorf("%s: %v", d.name, r)
		}
		for i, db := range fit.planes() {
			if db < 33 {
				t.Errorf("%s: plane %d %.1f dB, want 33 at least from an encoder that is not under test", d.name, i, db)
			}
		}
	}
}
