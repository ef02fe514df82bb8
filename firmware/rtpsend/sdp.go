// The stream's description for receivers that ask for a file. Pure.
// Spec: RFC 4566, RFC 3605 (a=rtcp), RFC 7741 section 6 (VP8), RFC 4588 section 8 (RTX).

package rtpsend

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

// SDP describes the stream as ffmpeg and GStreamer want it: lines end in CR LF.
func (s *Sender) SDP() string {
	to, rtcp := s.cfg.RTP, s.cfg.RTCP
	lines := []string{
		"v=0",
		fmt.Sprintf("o=- %d 1 IN %s", s.SSRC(), address(unspecified(to.Addr()))),
		"s=krazycam",
		"c=IN " + address(to.Addr()),
		"t=0 0",
		fmt.Sprintf("m=video %d %s", to.Port(), s.profile()),
		// kbit/s, from which receivers compute their RTCP interval
		fmt.Sprintf("b=AS:%d", (s.cfg.Bandwidth+999)/1000),
		fmt.Sprintf("a=rtpmap:%d VP8/%d", packet.PayloadType, packet.ClockRate),
		fmt.Sprintf("a=rtcp:%d IN %s", rtcp.Port(), address(rtcp.Addr())),
		fmt.Sprintf("a=ssrc:%d cname:%s", s.SSRC(), s.cfg.CNAME),
	}
	if s.cfg.CaptureTimeID != 0 {
		lines = append(lines, fmt.Sprintf("a=extmap:%d %s", s.cfg.CaptureTimeID, packet.CaptureTimeURI))
	}
	if s.cfg.TransportID != 0 {
		lines = append(lines,
			fmt.Sprintf("a=extmap:%d %s", s.cfg.TransportID, packet.TransportURI),
			fmt.Sprintf("a=rtcp-fb:%d transport-cc", packet.PayloadType))
	}
	if s.cfg.usesMux() {
		lines = append(lines, "a=rtcp-mux")
	}
	if s.cfg.RTX {
		rtx := s.cfg.First.RTXSSRC
		lines = append(lines,
			fmt.Sprintf("a=rtpmap:%d rtx/%d", packet.RTXPayloadType, packet.ClockRate),
			fmt.Sprintf("a=fmtp:%d apt=%d", packet.RTXPayloadType, packet.PayloadType),
			fmt.Sprintf("a=ssrc-group:FID %d %d", s.SSRC(), rtx),
			fmt.Sprintf("a=ssrc:%d cname:%s", rtx, s.cfg.CNAME))
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

// profile is the end of the media line. The keys of RTP/SAVP are not in the file: a receiver
// that may have them got them from the gateway.
func (s *Sender) profile() string {
	p := "RTP/AVP"
	if s.cfg.SRTP != nil {
		p = "RTP/SAVP"
	}
	if s.cfg.TransportID != 0 {
		p += "F" // a=rtcp-fb belongs to the feedback profiles alone (RFC 4585 section 4.2)
	}
	if s.cfg.RTX {
		return fmt.Sprintf("%s %d %d", p, packet.PayloadType, packet.RTXPayloadType)
	}
	return fmt.Sprintf("%s %d", p, packet.PayloadType)
}

// unspecified stands for the sender's own address, which the file must not tell.
func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

func address(a netip.Addr) string {
	if a.Is4() {
		return "IP4 " + a.String()
	}
	return "IP6 " + a.WithZone("").String()
}
