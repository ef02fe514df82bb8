package rtpsend

import (
	"net/netip"
	"strings"
	"testing"
)

func TestSDPNamesStreamAndPorts(t *testing.T) {
	for _, c := range []struct{ host, unspecified, version string }{
		{"192.0.2.1", "0.0.0.0", "IP4"},
		{"2001:db8::1", "::", "IP6"},
	} {
		host := netip.MustParseAddr(c.host)
		cfg := Config{RTP: netip.AddrPortFrom(host, 5004), RTCP: netip.AddrPortFrom(host, 6001), CNAME: "cam@test",
			First: &First{SSRC: 7}}
		if err := cfg.complete(); err != nil {
			t.Fatal(err)
		}
		want := strings.Join([]string{
			"v=0", "o=- 7 1 IN " + c.version + " " + c.unspecified, "s=krazycam",
			"c=IN " + c.version + " " + c.host, "t=0 0", "m=video 5004 RTP/AVP 96", "b=AS:600",
			"a=rtpmap:96 VP8/90000", "a=rtcp:6001 IN " + c.version + " " + c.host,
			"a=ssrc:7 cname:cam@test", "",
		}, "\r\n")
		if got := newSender(cfg, nil, nil).SDP(); got != want {
			t.Errorf("SDP() =\n%s\nwant\n%s", got, want)
		}
	}
}
