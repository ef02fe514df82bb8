// The stream over a link that loses packets, into GStreamer's rtpbin, with and without
// feedback. nft drops, in namespaces of our own; its random numbers have no seed, so
// each run is another draw. KRAZYCAM_LONG=1 takes three draws of 30 s instead of one of 14.
// The seeded runs are farend/losslab's.

package rtpsend

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// lose drops percent of all packets that come to these ends of the link.
func (l *link) lose(t *testing.T, percent int, ends ...string) {
	t.Helper()
	for _, space := range ends {
		c := exec.Command("ip", "netns", "exec", space, "nft", "-f", "-")
		c.Stdin = strings.NewReader(fmt.Sprintf(
			"table inet loss { chain in { type filter hook input priority 0; "+
				"meta l4proto udp numgen random mod 100 < %d counter drop\n}\n}\n", percent))
		run(t, c)
	}
}

// A lossy run is what came of one of them.
type lossy struct {
	sent, decoded, keys int
	lag                 time.Duration
	stats               Stats
}

func (l lossy) share() float64 { return float64(l.decoded) / float64(l.sent) }

// rtpbin is GStreamer's receiver; with feedback it asks for packets and key frames.
func (l *link) rtpbin(feedback bool) *exec.Cmd {
	bin := []string{"-v", "rtpbin", "name=b", "latency=200"}
	caps := "caps=application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000"
	depay := []string{"rtpvp8depay"}
	if feedback {
		bin = append(bin, "rtp-profile=avpf", "do-retransmission=true")
		caps += ",rtcp-fb-nack=(boolean)true,rtcp-fb-nack-pli=(boolean)true"
		depay = append(depay, "request-keyframe=true")
	}
	args := append(bin, "udpsrc", "port="+strconv.Itoa(l.rtp), caps, "!", "b.recv_rtp_sink_0", "b.", "!")
	args = append(append(args, depay...), "!", "vp8dec", "!", "fakesink", "name=fs", "silent=false", "sync=false",
		"udpsrc", "port="+strconv.Itoa(l.rtcp), "!", "b.recv_rtcp_sink_0",
		"b.send_rtcp_src_0", "!", "udpsink", "host="+l.sender.String(), "port="+strconv.Itoa(l.back),
		"sync=false", "async=false")
	return l.tool("gst-launch-1.0", args...)
}

// loop sends frames at the clip's pace for as long as it takes, and starts over with
// its key frame when the receiver asks for one. lag is for how long this machine was away.
func loop(t *testing.T, s *Sender, frames [][]byte, length time.Duration) (sent, keys int, lag time.Duration) {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(time.Second / clipFPS)
	defer tick.Stop()
	for next := 0; sent < int(length*clipFPS/time.Second); sent++ {
		if s.KeyFrameWanted() {
			next = 0
			keys++
		}
		f := frames[next%len(frames)]
		next++
		if err := s.Send(f, f[0]&1 == 0, monotonic()); err != nil {
			t.Fatal(err)
		}
		<-tick.C
	}
	return sent, keys, time.Since(began) - length
}

// away is how much lag makes resends too late for players: such a run is repeated.
const away = time.Second

// loseFive is one run over a link that loses 5 % both ways: of RTP, resends, reports and
// feedback. Before it, the link is clean for a while: a hole in the first key frame costs
// rtpbin, which may not speak yet, half a second before it asks, and for some 7 s, until
// it knows the session's bandwidth, it may speak each 0.74 s only (its debug log says so):
// requests that late heal nothing in a jitter buffer of 200 ms, and how much is lost
// until then is chance.
func loseFive(t *testing.T, frames [][]byte, clean, length time.Duration, feedback bool) (got lossy) {
	t.Run(map[bool]string{true: "feedback", false: "none"}[feedback], func(t *testing.T) {
		l := newLink(t)
		s := l.open(t)
		gst := start(t, l.rtpbin(feedback))
		l.waitForPort(t, l.rtp)
		l.waitForPort(t, l.rtcp)
		got.sent, _, _ = loop(t, s, frames, clean)
		l.lose(t, 5, l.senderSpace, l.receiverSpace)
		sent, keys, lag := loop(t, s, frames, length-clean)
		got.sent, got.keys, got.lag = got.sent+sent, keys, lag
		time.Sleep(600 * time.Millisecond) // its jitter buffer holds 200 ms
		got.stats = s.Stats()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		gst.stop(t, 100*time.Millisecond)
		got.decoded = strings.Count(gst.out.String(), "last-message = chain")
	})
	return got
}

// rtxbin is a receiver that takes resends by RFC 4588 alone. rtpbin hides where its
// elements must go, so they stand by themselves.
func (l *link) rtxbin() *exec.Cmd {
	return l.tool("gst-launch-1.0", "-v", "rtpsession", "name=s", "probation=0", "rtp-profile=avpf",
		"udpsrc", "port="+strconv.Itoa(l.rtp),
		"caps=application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000,rtcp-fb-nack=(boolean)true",
		"!", "s.recv_rtp_sink",
		"s.recv_rtp_src", "!", "rtprtxreceive", "payload-type-map=application/x-rtp-pt-map,96=(uint)97", "!",
		"rtpssrcdemux", "name=x",
		"x.", "!", "rtpjitterbuffer", "do-retransmission=true", "latency=200", "!", "rtpvp8depay", "!", "vp8dec", "!",
		"fakesink", "name=fs", "silent=false", "sync=false",
		"udpsrc", "port="+strconv.Itoa(l.rtcp), "!", "s.recv_rtcp_sink",
		"s.send_rtcp_src", "!", "udpsink", "host="+l.sender.String(), "port="+strconv.Itoa(l.back),
		"sync=false", "async=false")
}

func TestGStreamerHealsLossByRTX(t *testing.T) {
	need.Tools(t, "ffmpeg", "gst-launch-1.0", "nft", "ip")
	need.Root(t, "for network namespaces")
	_, frames := clip(t)
	got := loseByRTX(t, frames)
	if got.lag > away {
		t.Logf("this machine was away for %v: once more", got.lag)
		got = loseByRTX(t, frames)
	}
	t.Logf("FIGURE rtpsend at 5 %% loss by RTX: %d of %d frames decoded, %d packets sent again", got.decoded,
		got.sent, got.stats.Resends.Sent)
	if got.decoded < got.sent*96/100 || got.stats.Resends.Sent == 0 {
		t.Errorf("%d of %d frames decoded, %+v", got.decoded, got.sent, got.stats)
	}
}

// loseByRTX is one run into a receiver that takes resends by RFC 4588 alone, 5 s of it lossy.
func loseByRTX(t *testing.T, frames [][]byte) (got lossy) {
	t.Helper()
	l := newLink(t)
	s := l.openWith(t, Config{RTX: true})
	gst := start(t, l.rtxbin())
	l.waitForPort(t, l.rtp)
	l.waitForPort(t, l.rtcp)
	first, _, _ := loop(t, s, frames, 7*time.Second) // as in loseFive
	l.lose(t, 5, l.receiverSpace)
	got.sent, got.keys, got.lag = loop(t, s, frames, 5*time.Second)
	got.sent += first
	time.Sleep(600 * time.Millisecond)
	got.stats = s.Stats()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	gst.stop(t, 100*time.Millisecond)
	got.decoded = strings.Count(gst.out.String(), "last-message = chain")
	return got
}

func TestGStreamerHealsFivePercentLossByNACK(t *testing.T) {
	need.Tools(t, "ffmpeg", "gst-launch-1.0", "nft", "ip")
	need.Root(t, "for network namespaces")
	_, frames := clip(t)
	runs, clean, length, least := 1, 7*time.Second, 14*time.Second, 0.96 // of 420 frames, one hole is 0.2 %
	if os.Getenv("KRAZYCAM_LONG") != "" {
		runs, clean, length, least = 3, time.Second, 30*time.Second, 0.97
	}
	for i := range runs {
		with := loseFive(t, frames, clean, length, true)
		if with.lag > away {
			t.Logf("this machine was away for %v: once more", with.lag)
			with = loseFive(t, frames, clean, length, true)
		}
		without := loseFive(t, frames, clean, length, false)
		t.Logf("FIGURE rtpsend at 5 %% loss, draw %d: %.1f %% of %d frames decoded with NACK "+
			"(%d packets sent again, %d key frames on request), %.1f %% without feedback",
			i+1, 100*with.share(), with.sent, with.stats.Resends.Sent, with.keys, 100*without.share())
		if with.share() < least {
			t.Errorf("%.1f %% of frames decoded, want at least %.0f: %+v", 100*with.share(), 100*least, with.stats)
		}
		if with.stats.Resends.Sent == 0 || with.stats.Ignored.Malformed > 0 {
			t.Errorf("%+v: want packets sent again and nothing malformed", with.stats)
		}
	}
}
