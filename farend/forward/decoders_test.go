// The stream in the hands of ffmpeg and GStreamer, which know of it what its description says.

package forward

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// A program runs until the test stops it.
type program struct {
	*exec.Cmd
	out  bytes.Buffer
	done chan struct{}
}

func run(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.Stdout, p.Stderr = &p.out, &p.out
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Wait() // how it ends does not matter
		close(p.done)
	}()
	t.Cleanup(func() { p.stop(t, 0) })
	return p
}

// stop ends the program, unless it ends by itself within grace, and lets it finish what it has.
func (p *program) stop(t *testing.T, grace time.Duration) {
	t.Helper()
	select {
	case <-p.done:
		return
	case <-time.After(grace):
	}
	_ = p.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.Process.Kill()
		t.Errorf("%s did not end", p.Path)
	}
}

// awaitPorts waits until a program listens to a pair.
func awaitPorts(t *testing.T, port int) {
	t.Helper()
	for _, p := range []int{port, port + 1} {
		await(t, "a program listens", func() bool {
			c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: p})
			if err == nil {
				c.Close()
			}
			return err != nil
		})
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

// described begins a stream with a description and gives the file.
func described(t *testing.T) (src *source, sdp string, port int, b *bench) {
	t.Helper()
	sdp, port = filepath.Join(t.TempDir(), "stream.sdp"), freePair(t)
	b = start(t, Config{Rules: []Rule{{From: "all", RTP: toPort(port), SDP: sdp}}})
	src = newSource(b.begin(t, "a"))
	b.awaitSending(t)
	return src, sdp, port, b
}

func TestFFmpegDecodesEveryFrameOfADescribedStream(t *testing.T) {
	t.Parallel()
	path, frames := clip(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	decode := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-i", path, "-f", "framemd5", at("file.md5"))
	if out, err := decode.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	src, sdp, port, _ := described(t)
	ffmpeg := run(t, "ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file,udp,rtp", "-i", sdp,
		"-fps_mode", "passthrough", "-f", "framemd5", "-y", at("link.md5"))
	awaitPorts(t, port)
	src.play(frames, never)
	time.Sleep(time.Second) // it reads RTCP before RTP: the BYE must not overtake the last packets
	src.sinks[0].Close()
	ffmpeg.stop(t, patience) // the BYE ends it
	want, got := sums(t, at("file.md5")), sums(t, at("link.md5"))
	t.Logf("FIGURE forwarding to ffmpeg: %d of %d frames", len(got), len(want))
	if strings.Join(want, " ") != strings.Join(got, " ") || len(got) != clipFrames {
		t.Errorf("ffmpeg decoded %d frames, want the clip's %d\n%s", len(got), len(want), ffmpeg.out.String())
	}
}

// The source begins anew in the middle: another SSRC, other numbers. A decoder notices nothing.
func TestGStreamerDecodesOnWhenTheSourceBeginsAnew(t *testing.T) {
	t.Parallel()
	need.Tools(t, "gst-launch-1.0")
	_, frames := clip(t)
	src, sdp, port, _ := described(t)
	gst := run(t, "gst-launch-1.0", "-v", "filesrc", "location="+sdp, "!", "sdpdemux", "latency=200", "!",
		"rtpvp8depay", "!", "vp8dec", "!", "videoconvert", "!", "video/x-raw,format=I420", "!",
		"fakesink", "name=fs", "silent=false", "sync=false")
	awaitPorts(t, port)
	src.play(frames, never)
	src.restart()
	src.play(frames, never)
	time.Sleep(time.Second) // its jitter buffer holds 200 ms
	src.sinks[0].Close()
	gst.stop(t, 0)
	said := gst.out.String()
	decoded := strings.Count(said, "last-message = chain")
	t.Logf("FIGURE forwarding to GStreamer over a restart of the source: %d of %d frames", decoded, 2*clipFrames)
	if decoded != 2*clipFrames || strings.Contains(said, "WARN") || strings.Contains(said, "ERROR") {
		t.Errorf("GStreamer decoded %d frames of %d, and said\n%.3000s", decoded, 2*clipFrames, said)
	}
}

// A viewer that comes late asks for a key frame, by the port that its operator gave it.
func TestAKeyFrameForGStreamerComesFromTheSource(t *testing.T) {
	t.Parallel()
	need.Tools(t, "gst-launch-1.0")
	_, frames := clip(t)
	port, local := freePair(t), freePair(t)
	b := start(t, Config{Rules: []Rule{{From: "all", RTP: toPort(port), Local: local}}})
	src := newSource(b.begin(t, "a"))
	b.awaitSending(t)
	await(t, "a key frame for the beginning", func() bool { return b.requested("s-a") == 1 })
	gst := run(t, "gst-launch-1.0", "-v", "rtpbin", "name=b", "latency=100", "rtp-profile=avpf",
		"udpsrc", "port="+strconv.Itoa(port),
		"caps=application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000,"+
			"rtcp-fb-nack-pli=(boolean)true",
		"!", "b.recv_rtp_sink_0",
		"b.", "!", "rtpvp8depay", "request-keyframe=true", "wait-for-keyframe=true", "!", "vp8dec", "!", "fakesink",
		"name=fs", "silent=false", "sync=false",
		"udpsrc", "port="+strconv.Itoa(port+1), "!", "b.recv_rtcp_sink_0",
		"b.send_rtcp_src_0", "!", "udpsink", "host=127.0.0.1", "port="+strconv.Itoa(local+1),
		"sync=false", "async=false")
	awaitPorts(t, port)
	before, end := b.requested("s-a"), time.Now().Add(patience)
	isOver := func() bool { return b.requested("s-a") > before || time.Now().After(end) }
	for !isOver() {
		src.play(frames[1:], isOver) // no key frame
	}
	src.play(frames, never)
	time.Sleep(time.Second)
	gst.stop(t, 0)
	st := b.only(t)
	decoded := strings.Count(gst.out.String(), "last-message = chain")
	t.Logf("FIGURE forwarding to a late GStreamer: %d PLIs, %d reports, %d frames", st.PLIs, st.Reports, decoded)
	if b.requested("s-a") == before || st.PLIs == 0 || decoded < clipFrames {
		t.Errorf("%d PLIs, %d of %d frames from the key frame on: %+v\n%.3000s", st.PLIs, decoded, clipFrames, st,
			gst.out.String())
	}
}
