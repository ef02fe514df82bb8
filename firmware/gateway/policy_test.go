package gateway

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

type names map[string][]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	list, known := n[host]
	if !known {
		return nil, errors.New("no such host")
	}
	var addrs []netip.Addr
	for _, a := range list {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs, nil
}

func TestDestination(t *testing.T) {
	local := func() ([]netip.Prefix, error) {
		return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("192.168.1.7/24"),
			netip.MustParsePrefix("10.9.9.9/31"),
			netip.MustParsePrefix("fd00::7/64")}, nil
	}
	resolver := names{"video.example": {"203.0.113.5"}, "bad.example": {"127.0.0.1"},
		"mixed.example": {"224.0.0.1", "::ffff:203.0.113.6"}, "empty.example": {}}
	for _, c := range []struct {
		name      string
		host      string
		rtp, rtcp int
		loopback  bool
		allowed   []string
		want      string // "" for refused
	}{
		{"an address of the world", "203.0.113.5", 5004, 5005, false, nil, "203.0.113.5:5004"},
		{"a neighbour", "192.168.1.8", 5004, 5005, false, nil, "192.168.1.8:5004"},
		{"an IPv6 address", "2001:db8::1", 5004, 5005, false, nil, "[2001:db8::1]:5004"},
		{"a name", "video.example", 5004, 5005, false, nil, "203.0.113.5:5004"},
		{"a mapped address is the IPv4 address", "::ffff:203.0.113.5", 5004, 5005, false, nil, "203.0.113.5:5004"},
		{"a name with a bad and a good address", "mixed.example", 5004, 5005, false, nil, "203.0.113.6:5004"},
		{"the first allowed and the last port", "203.0.113.5", 1024, 65535, false, nil, "203.0.113.5:1024"},
		{"the neighbour on a /31, which has no broadcast", "10.9.9.8", 5004, 5005, false, nil, "10.9.9.8:5004"},
		{"one port for RTP and RTCP", "203.0.113.5", 5004, 5004, false, nil, "203.0.113.5:5004"},
		{"loopback that the owner allowed", "127.0.0.1", 5004, 5005, true, nil, "127.0.0.1:5004"},
		{"our own address that the owner allowed", "192.168.1.7", 5004, 5005, true, nil, "192.168.1.7:5004"},
		{"listed by range", "203.0.113.5", 5004, 5005, false, []string{"203.0.113.0/24"}, "203.0.113.5:5004"},
		{"listed by address", "203.0.113.5", 5004, 5005, false, []string{"10.0.0.1", "203.0.113.5"},
			"203.0.113.5:5004"},
		{"listed by name, in other letters", "video.example", 5004, 5005, false, []string{"Video.Example."},
			"203.0.113.5:5004"},

		{"loopback", "127.0.0.1", 5004, 5005, false, nil, ""},
		{"another loopback", "127.8.8.8", 5004, 5005, false, nil, ""},
		{"IPv6 loopback", "::1", 5004, 5005, false, nil, ""},
		{"mapped loopback", "::ffff:127.0.0.1", 5004, 5005, false, nil, ""},
		{"a name that leads to loopback", "bad.example", 5004, 5005, false, nil, ""},
		{"our own address", "192.168.1.7", 5004, 5005, false, nil, ""},
		{"our own IPv6 address", "fd00::7", 5004, 5005, false, nil, ""},
		{"unspecified", "0.0.0.0", 5004, 5005, true, nil, ""},
		{"IPv6 unspecified", "::", 5004, 5005, true, nil, ""},
		{"this network", "0.1.2.3", 5004, 5005, true, nil, ""},
		{"multicast", "239.1.2.3", 5004, 5005, true, nil, ""},
		{"IPv6 multicast", "ff02::1", 5004, 5005, true, nil, ""},
		{"limited broadcast", "255.255.255.255", 5004, 5005, true, nil, ""},
		{"our network's broadcast", "192.168.1.255", 5004, 5005, true, nil, ""},
		{"our network's number, an old broadcast", "192.168.1.0", 5004, 5005, true, nil, ""},
		{"class E", "250.1.1.1", 5004, 5005, true, nil, ""},
		{"link-local without an interface", "fe80::1", 5004, 5005, true, nil, ""},
		{"port 22", "203.0.113.5", 22, 5005, true, nil, ""},
		{"privileged RTCP", "203.0.113.5", 5004, 1023, true, nil, ""},
		{"port 0", "203.0.113.5", 0, 5005, true, nil, ""},
		{"a negative port", "203.0.113.5", -1, 5005, true, nil, ""},
		{"a port too far", "203.0.113.5", 5004, 65536, true, nil, ""},
		{"not listed", "203.0.113.5", 5004, 5005, true, []string{"10.0.0.0/8", "other.example"}, ""},
		{"loopback that is listed but not allowed", "127.0.0.1", 5004, 5005, false, []string{"127.0.0.0/8"}, ""},
		{"a name without addresses", "empty.example", 5004, 5005, false, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Policy{AllowLoopback: c.loopback, Allowed: c.allowed, Resolver: resolver, Local: local}
			g, err := p.ResolveReceiver(t.Context(), Grant{Host: c.host, RTPPort: c.rtp, RTCPPort: c.rtcp})
			if c.want == "" {
				if !errors.Is(err, ErrDestination) || g.RTP.IsValid() {
					t.Errorf("ResolveReceiver = %v, %v, want ErrDestination", g.RTP, err)
				}
				return
			}
			if err != nil || g.RTP.String() != c.want || int(g.RTCP.Port()) != c.rtcp ||
				g.RTCP.Addr() != g.RTP.Addr() {
				t.Errorf("ResolveReceiver = %v %v, %v, want %s", g.RTP, g.RTCP, err, c.want)
			}
		})
	}
}

func TestDestinationFailsWithItsResolverButNotForEver(t *testing.T) {
	_, err := Policy{Resolver: names{}, Local: noInterfaces}.ResolveReceiver(t.Context(),
		Grant{Host: "x.example", RTPPort: 5004, RTCPPort: 5005})
	if err == nil || errors.Is(err, ErrDestination) || needsOwner(err) {
		t.Errorf("ResolveReceiver = %v, want a resolver's error, to be tried again soon", err)
	}
}

func TestDestinationRefusesEverythingWithoutKnowingItself(t *testing.T) {
	broken := func() ([]netip.Prefix, error) { return nil, errors.New("netlink") }
	_, err := Policy{Local: broken}.ResolveReceiver(t.Context(),
		Grant{Host: "203.0.113.5", RTPPort: 5004, RTCPPort: 5005})
	if !errors.Is(err, ErrDestination) {
		t.Errorf("ResolveReceiver = %v, want ErrDestination", err)
	}
}

func TestReceiverHostTakesTheHostOfWhateverItGets(t *testing.T) {
	for text, want := range map[string]string{
		"video.example": "video.example", " video.example ": "video.example", "192.0.2.1": "192.0.2.1", "::1": "::1",
		"[::1]": "::1", "[::1]:5004": "::1",
		"video.example:5004": "video.example", "rtp://video.example:5004/x": "video.example",
		"https://user:pw@192.0.2.1/": "192.0.2.1",
		"http://[2001:db8::1]:80/":   "2001:db8::1", "//video.example/": "video.example",
		"video.example/path": "video.example", "2001:db8::1": "2001:db8::1",
		"": "", "http://": "", "a b": "", "-oops": "", "video.example\n": "video.example", "vidéo.example": "",
		".example": "", "http://%zz/": "",
		"$(reboot)": "", strings.Repeat("a", 254): "",
	} {
		got, err := receiverHost(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("receiverHost(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}
