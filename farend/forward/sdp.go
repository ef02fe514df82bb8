// The description of a forwarded stream, for receivers that ask for a file.
// Spec: RFC 4566, RFC 3605 (a=rtcp), RFC 4585 section 4.2 (a=rtcp-fb), RFC 7741 section 6 (VP8).

package forward

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"github.com/krazycam/krazycam/farend/forward/packet"
)

// describe is what a receiver at an address needs: lines end in CR LF.
func (s *sink) describe(to netip.Addr, port int) string {
	own := netip.IPv4Unspecified() // the file need not name this server's address
	if to.Is6() {
		own = netip.IPv6Unspecified()
	}
	return strings.Join([]string{
		"v=0",
		fmt.Sprintf("o=- %d 1 IN %s", s.identity.SSRC, sdpAddress(own)),
		"s=" + sessionName(s.source, s.grant.Source.String()),
		"c=IN " + sdpAddress(to),
		"t=0 0",
		fmt.Sprintf("m=video %d RTP/AVPF %d", port, packet.PayloadType),
		fmt.Sprintf("a=rtpmap:%d VP8/%d", packet.PayloadType, packet.ClockRate),
		fmt.Sprintf("a=rtcp:%d IN %s", port+1, sdpAddress(to)),
		fmt.Sprintf("a=rtcp-fb:%d nack", packet.PayloadType),
		fmt.Sprintf("a=rtcp-fb:%d nack pli", packet.PayloadType),
		fmt.Sprintf("a=ssrc:%d cname:%s", s.identity.SSRC, s.cname),
	}, "\r\n") + "\r\n"
}

func sdpAddress(a netip.Addr) string {
	if a.Is4() {
		return "IP4 " + a.String()
	}
	return "IP6 " + a.WithZone("").String()
}

// sessionName is a name on one line; the first that is not empty.
func sessionName(names ...string) string {
	for _, name := range names {
		if name = strings.Map(printable, name); strings.TrimSpace(name) != "" {
			return name
		}
	}
	return "-"
}

func printable(r rune) rune {
	if unicode.IsControl(r) {
		return -1
	}
	return r
}

// expand fills a template for a file or a URL. Names come from customers and boards: of them only
// letters, digits, - and _ stay as they are, so that none leads to another folder.
func (s *sink) expand(template string, port int) string {
	return strings.NewReplacer(
		"{source}", plainName(s.grant.Source.String()), "{customer}", plainName(s.customer),
		"{stream}", plainName(s.grant.ID), "{port}", strconv.Itoa(port),
	).Replace(template)
}

// plainName writes a name with letters, digits, - and _ alone; other bytes become =XX. Two names stay two.
func plainName(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}
