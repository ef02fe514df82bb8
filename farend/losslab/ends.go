//go:build linux

// Both ends: the command lines of the senders and of the receiver.

package losslab

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// The senders. CamsourceRTX is camsource that resends by RFC 4588, as GStreamer's sender does,
// to the same receiver. Camsource repeats packets as they were, and rtpbin receives.
const (
	Camsource    = "camsource"
	CamsourceRTX = "camsource-rtx"
	GStreamer    = "gstreamer"
)

// Senders are those between which a scenario shows a difference. Where the link itself loses
// nothing, or the receiver requests nothing, camsource resends nothing either way.
func (s Scenario) Senders() []string {
	if s.AVP || s.Link.Loss == 0 {
		return []string{Camsource, GStreamer}
	}
	return []string{Camsource, CamsourceRTX, GStreamer}
}

const twccURI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

func hostArgument() string { return "host=" + linkToSender.String() }

// camsourceCommand has the scenario's rate; more goes to the end.
func camsourceCommand(program, clip string, rate int, more ...string) []string {
	return append([]string{program,
		"--camera", clip, "--size", fmt.Sprintf("%dx%d", width, height), "--fps", strconv.Itoa(fps),
		"--bitrate", strconv.Itoa(rate),
		"--rtp", fmt.Sprintf("%s:%d", linkToSender, rtpPort),
		"--rtcp", fmt.Sprintf("%s:%d", linkToSender, rtcpPort),
	}, more...)
}

// senderCommand is the sender's command line.
func (s Setup) senderCommand(in Scenario, sender string) ([]string, error) {
	if sender == GStreamer {
		return gstreamerCommand(s.Clip, in), nil
	}
	more, err := s.camsourceFlags(in, sender == CamsourceRTX)
	return camsourceCommand(s.Camsource, s.Clip, in.Rate, more...), err
}

// camsourceFlags are those that the scenario wants of camsource: --rtx, and --twcc if this
// camsource knows that flag, so that older versions can be compared.
func (s Setup) camsourceFlags(in Scenario, rtx bool) ([]string, error) {
	more := slices.Clone(s.CamsourceFlags)
	if rtx && !slices.Contains(more, "--rtx") {
		more = append(more, "--rtx")
	}
	if in.TWCC && !slices.Contains(more, "--twcc") {
		help, err := exec.Command(s.Camsource, "--help").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%s --help: %w", s.Camsource, err)
		}
		if strings.Contains(string(help), "-twcc") {
			more = append(more, "--twcc")
		}
	}
	return more, nil
}

// gstreamerCommand is what a GStreamer user would build: its VP8 encoder with the settings of
// encoder/vp8.c, and resends by RFC 4588. Debian's GStreamer 1.22 has no rate control.
func gstreamerCommand(clip string, s Scenario) []string {
	session := []string{"rtpsession", "name=s"}
	if !s.AVP {
		session = append(session, "rtp-profile=avpf")
	}
	return slices.Concat([]string{"gst-launch-1.0", "-q"}, session, []string{
		"filesrc", "location=" + clip, "!", "y4mdec", "!", "clocksync", "!",
		"vp8enc", "deadline=1", "cpu-used=-12", "threads=1", "lag-in-frames=0",
		"end-usage=cbr", "target-bitrate=" + strconv.Itoa(s.Rate), "undershoot=100", "overshoot=15",
		"buffer-initial-size=500", "buffer-optimal-size=600", "buffer-size=1000", "dropframe-threshold=30",
		"static-threshold=1", "max-intra-bitrate=900", "min-quantizer=2", "max-quantizer=56",
		"keyframe-mode=disabled", "!",
		"rtpvp8pay", "pt=" + strconv.Itoa(mediaType), "picture-id-mode=15-bit", "!",
		"rtprtxsend", rtxMap(), "max-size-packets=1024", "!", "s.send_rtp_sink",
		"s.send_rtp_src", "!", "udpsink", hostArgument(), port(rtpPort), "sync=false", "async=false",
		"s.send_rtcp_src", "!", "udpsink", hostArgument(), port(rtcpPort), "sync=false", "async=false",
		"udpsrc", port(feedbackPort), "!", "s.recv_rtcp_sink",
	})
}

func port(n uint16) string { return fmt.Sprintf("port=%d", n) }

// rtxMap says which payload type resends have.
func rtxMap() string {
	return fmt.Sprintf("payload-type-map=application/x-rtp-pt-map,%d=(uint)%d", mediaType, rtxType)
}

// mediaCaps tell GStreamer's receiver what both ends agreed on.
func mediaCaps(s Scenario) string {
	caps := fmt.Sprintf("caps=application/x-rtp,media=video,encoding-name=VP8,payload=%d,clock-rate=90000", mediaType)
	if !s.AVP {
		caps += ",rtcp-fb-nack=(boolean)true,rtcp-fb-nack-pli=(boolean)true"
	}
	if s.TWCC {
		caps += ",extmap-5=" + twccURI + ",rtcp-fb-transport-cc=(boolean)true"
	}
	return caps
}

// receiverCommand is GStreamer's rtpbin; or, for a sender that resends by RFC 4588, the elements
// of rtpbin one by one, because gst-launch cannot put rtprtxreceive into rtpbin. Pictures come
// out raw at descriptor 3.
func receiverCommand(s Scenario, rtx bool) []string {
	profile, retransmission := []string{"rtp-profile=avpf"}, "do-retransmission=true"
	if s.AVP {
		profile, retransmission = nil, "do-retransmission=false"
	}
	rtp := []string{"udpsrc", port(rtpPort), "buffer-size=1000000", mediaCaps(s), "!"}
	in := slices.Concat([]string{"rtpbin", "name=b", "latency=200", retransmission}, profile, rtp,
		[]string{"b.recv_rtp_sink_0", "b.", "!"})
	toRTCP, fromRTCP := "b.recv_rtcp_sink_0", "b.send_rtcp_src_0"
	if rtx {
		in = slices.Concat([]string{"rtpsession", "name=s", "probation=0"}, profile, rtp, []string{
			"s.recv_rtp_sink", "s.recv_rtp_src", "!", "rtprtxreceive", rtxMap(), "!",
			"rtpssrcdemux", "name=x", "x.", "!", "rtpjitterbuffer", retransmission, "latency=200", "!",
			// rtpptdemux puts into a request for a key frame what rtpsession needs to send a PLI.
			"rtpptdemux", "name=p", "p.", "!",
		})
		toRTCP, fromRTCP = "s.recv_rtcp_sink", "s.send_rtcp_src"
	}
	decode := slices.Concat([]string{"rtpvp8depay", "request-keyframe=true", "!"}, rawPictureElements,
		[]string{"!", "fdsink", "fd=3", "sync=false"})
	return slices.Concat([]string{"gst-launch-1.0", "-q"}, in, decode, []string{
		"udpsrc", port(rtcpPort), "!", toRTCP,
		fromRTCP, "!", "udpsink", "host=" + linkToReceiver.String(), port(feedbackPort),
		"sync=false", "async=false",
	})
}
