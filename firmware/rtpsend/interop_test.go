// The stream in the hands of programs that nobody here wrote: ffmpeg, GStreamer,
// tshark. Sequence numbers and timestamps wrap in every run.

package rtpsend

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
)

// play sends frames at the clip's pace and returns early when until says so.
func play(t *testing.T, s *Sender, frames [][]byte, until func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Second / clipFPS)
	defer tick.Stop()
	for _, f := range frames {
		if err := s.Send(f, f[0]&1 == 0, monotonic()); err != nil {
			t.Fatal(err)
		}
		<-tick.C
		if until != nil && until() {
			return
		}
	}
}

// sums are the checksums of a framemd5 file, one a frame.
func sums(t *testing.T, path string) (out []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "#") {
			out = append(out, strings.TrimSpace(line[strings.LastIndex(line, ",")+1:]))
		}
	}
	return out
}

func TestFFmpegDecodesEveryFrameBitExactAndTsharkFindsNoFault(t *testing.T) {
	need.Tools(t, "ffmpeg", "dumpcap", "tshark")
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	path, frames := clip(t)
	run(t, exec.Command("ffmpeg", "-nostdin", "-v", "error", "-i", path, "-f", "framemd5", "-y", at("file.md5")))

	l := newLink(t)
	s := l.open(t)
	if err := os.WriteFile(at("s.sdp"), []byte(s.SDP()), 0o644); err != nil {
		t.Fatal(err)
	}
	stopCapture := l.capture(t, at("x.pcapng"))
	ffmpeg := start(t, l.tool("ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file,udp,rtp",
		"-i", at("s.sdp"), "-fps_mode", "passthrough", "-f", "framemd5", "-y", at("link.md5")))
	l.waitForPort(t, l.rtcp)
	play(t, s, frames, nil)
	// ffmpeg reads RTCP before RTP: a BYE must not overtake what it has not read. Not for
	// longer: a sender that was silent for two intervals ends with a receiver's report.
	time.Sleep(400 * time.Millisecond)
	stats := s.Stats()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	ffmpeg.stop(t, 2*time.Second)
	if stopCapture != nil {
		stopCapture()
	}

	want, got := sums(t, at("file.md5")), sums(t, at("link.md5"))
	equal := 0
	for i := range min(len(want), len(got)) {
		if want[i] == got[i] {
			equal++
		}
	}
	t.Logf("FIGURE rtpsend to ffmpeg: %d of %d frames bit-exact, %d packets", equal, len(want), stats.Packets)
	if equal != clipFrames || len(got) != clipFrames {
		t.Errorf("ffmpeg decoded %d frames, %d of them equal to the file's %d", len(got), equal, len(want))
	}
	if stats.Packets <= 36 || stats.SendErrors != (udp.Errors{}) {
		t.Errorf("%+v: want the sequence number to wrap and no errors", stats)
	}
	t.Run("tshark", func(t *testing.T) {
		if stopCapture == nil {
			need.Missing(t, "root to record the link: run the tests as root")
		}
		checkCapture(t, l, at("x.pcapng"), stats)
	})
}

// checkCapture lets tshark read what crossed the link.
func checkCapture(t *testing.T, l *link, file string, stats Stats) {
	t.Helper()
	tshark := func(args ...string) string {
		decode := []string{
			"-n", "-r", file, "-d", fmt.Sprintf("udp.port==%d,rtp", l.rtp),
			"-d", fmt.Sprintf("udp.port==%d,rtcp", l.rtcp), "-d", fmt.Sprintf("rtp.pt==%d,vp8", packet.PayloadType),
		}
		return run(t, exec.Command("tshark", append(decode, args...)...))
	}
	if bad := tshark("-Y", "_ws.malformed || _ws.expert.severity >= 6291456"); bad != "" {
		t.Errorf("tshark calls packets malformed:\n%s", bad)
	}
	var media, marked int
	var reports []string // the types in each, in order
	fields := tshark("-T", "fields",
		"-e", "frame.protocols", "-e", "ip.dsfield.dscp", "-e", "udp.srcport", "-e", "rtcp.pt")
	for line := range strings.Lines(fields) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		switch {
		case strings.HasSuffix(f[0], ":rtp:vp8"):
			media++
			if f[1] == "34" {
				marked++
			}
		case strings.Contains(f[0], ":rtcp") && f[2] == strconv.Itoa(l.back):
			reports = append(reports, f[3])
		}
	}
	t.Logf("FIGURE rtpsend in tshark: %d RTP packets with VP8, %d RTCP packets", media, len(reports))
	if media != int(stats.Packets) || marked != media {
		t.Errorf("tshark finds %d packets of VP8 in RTP, %d of them marked AF41, want the %d sent", media, marked,
			stats.Packets)
	}
	if n := len(reports); n < 4 || reports[0] != "200,202" || reports[n-1] != "200,202,203" {
		t.Errorf("RTCP types are %v, want SR+SDES first and SR+SDES+BYE last", reports)
	}
}

func TestGStreamerDecodesEveryFrameAndIsHeard(t *testing.T) {
	need.Tools(t, "ffmpeg", "gst-launch-1.0")
	_, frames := clip(t)
	l := newLink(t)
	s := l.open(t)
	gst := start(t, l.tool("gst-launch-1.0", "-v", "rtpbin", "name=b", "latency=100", "rtp-profile=avpf",
		"udpsrc", "port="+strconv.Itoa(l.rtp),
		"caps=application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000,"+
			"rtcp-fb-nack-pli=(boolean)true",
		"!", "b.recv_rtp_sink_0",
		"b.", "!", "rtpvp8depay", "request-keyframe=true", "wait-for-keyframe=true",
		"!", "vp8dec", "automatic-request-sync-points=true", "!", "videoconvert", "!", "video/x-raw,format=I420",
		"!", "fakesink", "name=fs", "silent=false", "sync=false",
		"udpsrc", "port="+strconv.Itoa(l.rtcp), "!", "b.recv_rtcp_sink_0",
		"b.send_rtcp_src_0", "!", "udpsink", "host="+l.sender.String(), "port="+strconv.Itoa(l.back),
		"sync=false", "async=false"))
	l.waitForPort(t, l.rtp)
	l.waitForPort(t, l.rtcp)

	// It joins in the middle: no frame before a key frame can be decoded, so it asks.
	asked := false
	play(t, s, frames[1:], func() bool { asked = s.KeyFrameWanted(); return asked })
	if !asked {
		t.Errorf("GStreamer asked for no key frame: %+v", s.Stats())
	}
	play(t, s, frames, nil)
	time.Sleep(500 * time.Millisecond) // its jitter buffer holds 100 ms
	// Its first PLI may put its first report off by more than the clip is long (RFC 4585
	// section 3.5.2), and a report within a frame counts a packet that still waits as lost.
	told := func(s Stats) bool { return s.RTT > 0 && s.Lost <= 0 }
	for end := time.Now().Add(15 * time.Second); !told(s.Stats()) && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	stats := s.Stats()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	gst.stop(t, 300*time.Millisecond)

	decoded := strings.Count(gst.out.String(), "last-message = chain")
	t.Logf("FIGURE rtpsend to GStreamer: %d of %d frames, %d PLIs, %d reports, RTT %v, lost %d", decoded,
		clipFrames, stats.PLIs, stats.Reports, stats.RTT, stats.Lost)
	if decoded != clipFrames {
		t.Errorf("GStreamer decoded %d frames, want the %d from the key frame on", decoded, clipFrames)
	}
	if stats.PLIs+stats.FIRs == 0 || stats.Reports == 0 || stats.RTT <= 0 || stats.RTT > time.Second {
		t.Errorf("%+v: want a PLI, a report and its round trip", stats)
	}
	if stats.Lost > 0 || stats.Ignored.Malformed > 0 || stats.Ignored.Stranger > 0 {
		t.Errorf("%+v: want nothing lost or ignored on a clean link", stats)
	}
}
