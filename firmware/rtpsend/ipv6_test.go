// IPv6 and the capture time in the packets, into GStreamer.

package rtpsend

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/session"
)

func TestGStreamerDecodesEveryFrameOverIPv6AndReadsTheCaptureTime(t *testing.T) {
	need.Tools(t, "ffmpeg", "gst-launch-1.0", "ip")
	need.Root(t, "for network namespaces")
	_, frames := clip(t)
	l := newLinkOf(t, "fd77::1", "fd77::2")
	s := l.openWith(t, Config{CaptureTimeID: 1})
	c := l.tool("gst-launch-1.0", "-v", "rtpbin", "name=b", "latency=100",
		"udpsrc", "address=::", "port="+strconv.Itoa(l.rtp),
		"caps=application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000,"+
			"extmap-1="+packet.CaptureTimeURI,
		"!", "b.recv_rtp_sink_0",
		"b.", "!", "rtpvp8depay", "!", "vp8dec", "!", "fakesink", "name=fs", "silent=false", "sync=false",
		"udpsrc", "address=::", "port="+strconv.Itoa(l.rtcp), "!", "b.recv_rtcp_sink_0",
		"b.send_rtcp_src_0", "!", "udpsink", "host="+l.sender.String(), "port="+strconv.Itoa(l.back),
		"sync=false", "async=false")
	c.Env = append(os.Environ(), "GST_DEBUG=rtpjitterbuffer:5", "GST_DEBUG_NO_COLOR=1")
	var said strings.Builder
	c.Stderr = &said
	gst := start(t, c)
	l.waitForPort(t, l.rtp)
	l.waitForPort(t, l.rtcp)
	begun := time.Now()
	play(t, s, frames, nil)
	for end := time.Now().Add(15 * time.Second); s.Stats().RTT == 0 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(time.Second) // the jitter buffer holds 100 ms
	stats := s.Stats()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	gst.stop(t, 300*time.Millisecond)
	decoded := strings.Count(gst.out.String(), "last-message = chain")
	// "inband NTP time 1109876:12:34.5": hours since 1900, in each frame's first packet.
	hours := fmt.Sprintf("inband NTP time %d:", session.NTP(begun)>>32/3600)
	timed := strings.Count(said.String(), hours)
	// Perhaps the next hour has begun.
	if now := fmt.Sprintf("inband NTP time %d:", session.NTP(time.Now())>>32/3600); now != hours {
		timed += strings.Count(said.String(), now)
	}
	t.Logf("FIGURE rtpsend to GStreamer over IPv6: %d of %d frames, capture time in %d packets, %d reports, RTT %v",
		decoded, clipFrames, timed, stats.Reports, stats.RTT)
	if decoded != clipFrames || timed < clipFrames*9/10 || stats.RTT <= 0 || stats.Ignored != (Ignored{}) {
		t.Errorf("%d frames, %d capture times (%q), %+v: want all %d", decoded, timed, hours, stats, clipFrames)
	}
}
