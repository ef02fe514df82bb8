// What a gateway that turned bad might name, in each form that addresses have.

package gateway

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// boardsPrefixes are the addresses of a board in a house.
func boardsPrefixes() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, p := range []string{"127.0.0.1/8", "::1/128", "192.168.1.7/24", "10.9.9.9/31", "fd00::7/64", "fe80::7/64"} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all, nil
}

// resolve lets a policy judge what a gateway names.
func (p Policy) resolve(t *testing.T, host string) (netip.Addr, error) {
	t.Helper()
	p.Local = boardsPrefixes
	if p.Resolver == nil {
		p.Resolver = names{}
	}
	name, err := receiverHost(host)
	if err != nil {
		return netip.Addr{}, err
	}
	g, err := p.ResolveReceiver(t.Context(), Grant{Host: name, RTPPort: 5004, RTCPPort: 5005})
	return g.RTP.Addr(), err
}

func TestDangerousAddressesAreRefusedInEveryForm(t *testing.T) {
	for _, c := range []struct{ name, host, why string }{
		{"link-local", "169.254.0.1", "a link-local address"},
		{"the data of a cloud", "169.254.169.254", "a link-local address"},
		{"link-local, mapped", "::ffff:169.254.1.1", "a link-local address"},
		{"link-local of IPv6 with an interface", "fe80::1%eth0", "a link-local address"},
		{"link-local of IPv6 in a URL", "http://[fe80::1%25eth0]:5004/", "a link-local address"},
		{"its last one", "febf::1%eth0", "a link-local address"},

		{"loopback, mapped", "::ffff:127.0.0.1", "this machine itself"},
		{"loopback, mapped, in hexadecimal", "::ffff:7f00:1", "this machine itself"},
		{"loopback, compatible", "::127.0.0.1", "this machine itself"},
		{"loopback, compatible, in hexadecimal", "::7f00:1", "this machine itself"},
		{"loopback, translated", "::ffff:0:127.0.0.1", "this machine itself"},
		{"loopback behind NAT64", "64:ff9b::127.0.0.1", "this machine itself"},
		{"another loopback behind NAT64", "64:ff9b::7fff:ffff", "this machine itself"},
		{"loopback behind a local NAT64 of 96 bits", "64:ff9b:1::127.0.0.1", "this machine itself"},
		{"loopback behind a local NAT64 of 48 bits", "64:ff9b:1:7f00:0:100::", "this machine itself"},
		{"loopback behind a local NAT64 of 56 bits", "64:ff9b:1:7f:0:1::", "this machine itself"},
		{"loopback behind a local NAT64 of 64 bits", "64:ff9b:1::7f:0:100:0", "this machine itself"},
		{"loopback behind 6to4", "2002:7f00:1::1", "this machine itself"},
		{"loopback behind Teredo", "2001:0:cb00:7105::80ff:fffe", "this machine itself"},
		{"loopback as a server of Teredo", "2001:0:7f00:1::1", "this machine itself"},
		{"loopback behind ISATAP", "2001:db8::5efe:127.0.0.1", "this machine itself"},
		{"loopback behind ISATAP, universal", "2001:db8::200:5efe:127.0.0.1", "this machine itself"},
		{"our address behind NAT64", "64:ff9b::192.168.1.7", "this machine itself"},
		{"our address behind 6to4", "2002:c0a8:107::", "this machine itself"},
		{"our address, compatible", "::192.168.1.7", "this machine itself"},
		{"loopback of IPv6 with a zone", "::1%lo", "this machine itself"},
		{"our address with a zone", "fd00::7%eth0", "this machine itself"},

		{"link-local behind NAT64", "64:ff9b::169.254.1.1", "a link-local address"},
		{"link-local behind 6to4", "2002:a9fe:101::1", "a link-local address"},
		{"multicast", "224.0.0.251", "a multicast address"},
		{"multicast, the last", "239.255.255.255", "a multicast address"},
		{"multicast, mapped", "::ffff:224.0.0.251", "a multicast address"},
		{"multicast behind NAT64", "64:ff9b::224.0.0.251", "a multicast address"},
		{"multicast behind 6to4", "2002:e000:fb::1", "a multicast address"},
		{"multicast, compatible", "::239.1.1.1", "a multicast address"},
		{"multicast of IPv6", "ff02::fb%eth0", "a multicast address"},
		{"multicast of IPv6 for the world", "ff0e::1", "a multicast address"},
		{"broadcast, mapped", "::ffff:255.255.255.255", "a broadcast address"},
		{"broadcast behind NAT64", "64:ff9b::ffff:ffff", "a broadcast address"},
		{"our network's broadcast, mapped", "::ffff:192.168.1.255", "a broadcast address of our own network"},
		{"our network's broadcast behind NAT64", "64:ff9b::192.168.1.255", "a broadcast address of our own network"},
		{"our network's number", "192.168.1.0", "a broadcast address of our own network"},
		{"no address", "0.0.0.0", "a reserved address"},
		{"no address, mapped", "::ffff:0.0.0.0", "a reserved address"},
		{"no address of IPv6", "::", "no address"},
		{"no address of IPv6 with a zone", "::%lo", "no address"},
		{"no address behind 6to4", "2002::1", "a reserved address"},
		{"this network", "0.255.255.255", "a reserved address"},
		{"class E", "240.0.0.1", "a reserved address"},
		{"class E behind NAT64", "64:ff9b::240.0.0.1", "a reserved address"},
		{"a compatible address of the world", "::203.0.113.5", "IPv4-compatible"},
		{"a number that is no loopback", "::2", "a reserved address"},

		{"loopback behind a user", "http://203.0.113.5@127.0.0.1:5004/x", "this machine itself"},
		{"loopback behind a user and a password", "https://a:b@[::1]/", "this machine itself"},
		{"loopback with a port", "127.0.0.1:5004", "this machine itself"},
		{"loopback in brackets with a port", "[::ffff:127.0.0.1]:5004", "this machine itself"},
		{"loopback with a path", "127.0.0.1/203.0.113.5", "this machine itself"},
	} {
		addr, err := Policy{}.resolve(t, c.host)
		if !errors.Is(err, ErrDestination) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %s = %v, %v, want ErrDestination with %q", c.name, c.host, addr, err, c.why)
		}
		everything := Policy{Allowed: []string{"0.0.0.0/0", "::/0", "::ffff:0:0/96"}}
		if addr, err := everything.resolve(t, c.host); !errors.Is(err, ErrDestination) {
			t.Errorf("%s: %s = %v, %v where all is allowed, want ErrDestination", c.name, c.host, addr, err)
		}
	}
}

// Spellings that some resolvers take for 127.0.0.1 are names here, and what a name stands for is
// checked like an address.
func TestDangerousAddressesAreRefusedBehindAName(t *testing.T) {
	odd := []string{"127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "127.0.0.1.", "rebind.example"}
	loops, good := names{}, names{"good.example": {"203.0.113.5"}}
	for _, name := range odd {
		loops[name] = []string{"127.0.0.1", "::1", "64:ff9b::7f00:1", "169.254.169.254"}
	}
	for _, name := range odd {
		for _, resolver := range []Resolver{loops, good} {
			addr, err := Policy{Resolver: resolver, Allowed: []string{name, "0.0.0.0/0"}}.resolve(t, name)
			if err == nil {
				t.Errorf("%s = %v", name, addr)
			}
		}
	}
	// A name that leads elsewhere at each grant is looked up for each, and the address is kept.
	turns := &turning{answers: []string{"203.0.113.5", "127.0.0.1", "203.0.113.6"}}
	for _, want := range []string{"203.0.113.5", "", "203.0.113.6"} {
		addr, err := Policy{Resolver: turns}.resolve(t, "rebind.example")
		if want == "" != errors.Is(err, ErrDestination) || want != "" && addr.String() != want {
			t.Errorf("rebind.example = %v, %v, want %q", addr, err, want)
		}
	}
	if len(turns.answers) != 0 {
		t.Errorf("%d answers are left: a grant is one lookup", len(turns.answers))
	}
}

func TestNoGrantIsFollowedTwiceWithAnotherAddress(t *testing.T) {
	// The session sends to what it checked: Begin gets the address, never the name.
	turns := &turning{answers: []string{"203.0.113.5"}}
	s, _ := play(t, nil, func(_ *script, session *Session) { session.policy.Resolver = turns },
		step{ask: "new", id: "7"}, step{ask: "start 7", host: "rebind.example"}, step{ask: "validate 7"})
	if !slices.Contains(s.log, "BEGIN 203.0.113.5:5004 203.0.113.5:5005") {
		t.Errorf("it did %q", s.log)
	}
}

func TestOwnerAllowsAddressesByNamingThem(t *testing.T) {
	for _, c := range []struct {
		name    string
		host    string
		allowed []string // nil: nothing said
		gateway string
		loop    bool
		want    string // "": refused
	}{
		{"an empty list", "203.0.113.5", []string{}, "", false, ""},
		{"an empty list and loopback", "127.0.0.1", []string{}, "", true, ""},
		{"nothing said", "203.0.113.5", nil, "", false, "203.0.113.5"},
		{"link-local by address", "169.254.1.1", []string{"169.254.1.1"}, "", false, "169.254.1.1"},
		{"link-local by range", "169.254.1.1", []string{"169.254.0.0/16"}, "", false, "169.254.1.1"},
		{"link-local by a part of it", "169.254.1.1", []string{"169.254.1.0/24"}, "", false, "169.254.1.1"},
		{"link-local by another part", "169.254.1.1", []string{"169.254.2.0/24"}, "", false, ""},
		{"link-local by a range of more", "169.254.1.1", []string{"169.254.0.0/15", "0.0.0.0/0"}, "", false, ""},
		{"link-local by its mapped form", "169.254.1.1", []string{"::ffff:169.254.0.0/112"}, "", false, "169.254.1.1"},
		{"link-local of IPv6 by range", "fe80::1%eth0", []string{"fe80::/10"}, "", false, "fe80::1%eth0"},
		{"link-local of IPv6 by address", "fe80::1%eth0", []string{"fe80::1"}, "", false, "fe80::1%eth0"},
		{"link-local of IPv6 by address and zone", "fe80::1%eth0", []string{"fe80::1%eth0"}, "", false, "fe80::1%eth0"},
		{"link-local of IPv6 without an interface", "fe80::1", []string{"fe80::/10"}, "", false, ""},
		{"the gateway's own address", "169.254.7.7", nil, "169.254.7.7", false, "169.254.7.7"},
		{"the gateway's neighbour", "169.254.7.8", nil, "169.254.7.7", false, ""},
		{"the gateway's own address outside the list", "169.254.7.7", []string{"10.0.0.0/8"}, "169.254.7.7", false, ""},
		{"the gateway's own loopback", "127.0.0.1", nil, "127.0.0.1", false, ""},
		{"a gateway by name", "169.254.7.7", nil, "gateway.example", false, ""},
		{"NAT64 around the world", "64:ff9b::203.0.113.5", nil, "", false, "64:ff9b::cb00:7105"},
		{"a local NAT64 around the world", "64:ff9b:1::203.0.113.5", nil, "", false, "64:ff9b:1::cb00:7105"},
		{"6to4 around the world", "2002:cb00:7105::1", nil, "", false, "2002:cb00:7105::1"},
		{"a zone that means nothing", "2001:db8::1%eth0", nil, "", false, "2001:db8::1"},
		{"NAT64 around loopback by its range", "64:ff9b::127.0.0.1", []string{"64:ff9b::/96"}, "", false, ""},
		{"NAT64 around loopback by a range of it alone", "64:ff9b::127.0.0.1", []string{"64:ff9b::127.0.0.0/104"}, "",
			false, "64:ff9b::7f00:1"},
		{"NAT64 around loopback by address", "64:ff9b::127.0.0.1", []string{"64:ff9b::7f00:1"}, "", false,
			"64:ff9b::7f00:1"},
		{"6to4 around loopback by range", "2002:7f00:1::1", []string{"2002:7f00::/24"}, "", false, "2002:7f00:1::1"},
		{"NAT64 around loopback, and loopback allowed", "64:ff9b::127.0.0.1", nil, "", true, ""},
		{"loopback by list alone", "127.0.0.1", []string{"127.0.0.1"}, "", false, ""},
		{"loopback", "127.0.0.1", nil, "", true, "127.0.0.1"},
		{"loopback, mapped", "::ffff:127.0.0.1", nil, "", true, "127.0.0.1"},
		{"loopback by list and leave", "::1", []string{"::1"}, "", true, "::1"},
		{"multicast by name", "239.1.1.1", []string{"239.1.1.1", "224.0.0.0/4"}, "239.1.1.1", true, ""},
		{"broadcast by name", "192.168.1.255", []string{"192.168.1.255"}, "", true, ""},
		{"a range of IPv4 in the form of IPv6", "10.1.2.3", []string{"::ffff:10.0.0.0/104"}, "", false, "10.1.2.3"},
		{"an address of a range, written with host bits", "10.1.2.3", []string{"10.9.9.9/8"}, "", false, "10.1.2.3"},
	} {
		p := Policy{Allowed: c.allowed, Gateway: c.gateway, AllowLoopback: c.loop}
		addr, err := p.resolve(t, c.host)
		if c.want == "" {
			if !errors.Is(err, ErrDestination) {
				t.Errorf("%s: %v, %v, want ErrDestination", c.name, addr, err)
			}
		} else if err != nil || addr.String() != c.want {
			t.Errorf("%s: %v, %v, want %s", c.name, addr, err, c.want)
		}
	}
}

// FuzzReceiver: whatever a gateway writes, and whatever that resolves to, the board sends to a
// plain unicast address of somebody else, or nowhere.
func FuzzReceiver(f *testing.F) {
	for _, host := range []string{
		"203.0.113.5", "::1", "http://u:p@[fe80::1%25eth0]:1/", "64:ff9b::7f00:1", "2002:7f00:1::", "127.1", "x.example",
		"::ffff:0:7f00:1", "::ffff:127.0.0.1%lo", "2001:0:7f00:1::80ff:fffe",
	} {
		f.Add(host, []byte{127, 0, 0, 1})
		f.Add(host, netip.MustParseAddr("64:ff9b::7f00:1").AsSlice())
	}
	f.Fuzz(func(t *testing.T, host string, resolved []byte) {
		var resolver names
		if addr, ok := netip.AddrFromSlice(resolved); ok {
			if name, err := receiverHost(host); err == nil {
				resolver = names{name: {addr.String()}}
			}
		}
		addr, err := Policy{Resolver: resolver}.resolve(t, host)
		if err != nil {
			return
		}
		bad := addr.IsLoopback() || addr.IsMulticast() || addr.IsUnspecified() || addr.IsLinkLocalUnicast() ||
			addr.Is4In6() || addr.Zone() != "" || addr == netip.MustParseAddr("fd00::7")
		b := addr.As16()
		for prefix, at := range map[string]int{"2002::/16": 2, "64:ff9b::/96": 12, "0.0.0.0/0": 12} {
			if !netip.MustParsePrefix(prefix).Contains(addr) {
				continue
			}
			inner := netip.AddrFrom4([4]byte(b[at : at+4]))
			bad = bad || inner.IsLoopback() || inner.IsLinkLocalUnicast() || inner.As4()[0] == 0 ||
				inner.As4()[0] >= 224 || inner.String() == "192.168.1.7" || inner.String() == "192.168.1.255"
		}
		if bad {
			t.Errorf("%q with %v is %v", host, resolver, addr)
		}
	})
}

// turning gives one answer after the other.
type turning struct{ answers []string }

func (r *turning) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	next := r.answers[0]
	r.answers = r.answers[1:]
	return []netip.Addr{netip.MustParseAddr(next)}, nil
}
