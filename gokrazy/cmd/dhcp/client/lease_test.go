package client

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func ackOf(address string, options ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	m := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootReply, ClientHWAddr: boardMAC,
		YourIPAddr: net.ParseIP(address).To4(), Options: dhcpv4.Options{}}
	for _, o := range options {
		m.UpdateOption(o)
	}
	return m
}

func mask(a, b, c, d byte) dhcpv4.Option {
	return dhcpv4.OptSubnetMask(net.IPMask{a, b, c, d})
}

func raw(code uint8, b ...byte) dhcpv4.Option {
	return dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), b)
}

func TestAddressesThatNoHostHasAreRefused(t *testing.T) {
	for _, c := range []struct {
		address string
		mask    dhcpv4.Option
		want    string // "" is refused
	}{
		{"192.0.2.50", mask(255, 255, 255, 0), "192.0.2.50/24"},
		{"192.0.2.50", mask(255, 255, 255, 255), "192.0.2.50/32"},
		{"192.0.2.50", mask(255, 255, 255, 254), "192.0.2.50/31"},
		{"10.1.2.3", mask(255, 0, 0, 0), "10.1.2.3/8"},
		{"192.0.2.50", raw(1), "192.0.2.50/24"},
		{"192.0.2.0", mask(255, 255, 255, 0), ""},
		{"192.0.2.255", mask(255, 255, 255, 0), ""},
		{"192.0.2.50", mask(255, 0, 255, 0), ""},
		{"192.0.2.50", mask(0, 0, 0, 0), ""},
		{"192.0.2.50", mask(128, 0, 0, 0), ""},
		{"192.0.2.50", raw(1, 255, 255), ""},
		{"0.0.0.0", mask(255, 255, 255, 0), ""},
		{"0.1.2.3", mask(255, 255, 255, 0), ""},
		{"127.0.0.1", mask(255, 255, 255, 255), ""},
		{"169.254.3.4", mask(255, 255, 0, 0), ""},
		{"224.0.0.1", mask(255, 255, 255, 255), ""},
		{"240.0.0.1", mask(255, 255, 255, 255), ""},
		{"255.255.255.255", mask(255, 255, 255, 255), ""},
	} {
		l, err := parseLease(ackOf(c.address, c.mask))
		got := ""
		if err == nil {
			got = l.Address.String()
		}
		if got != c.want {
			t.Errorf("%s mask %v = %q, %v, want %q", c.address, c.mask.Value, got, err, c.want)
		}
	}
}

func TestRoutes(t *testing.T) {
	const off = " on link"
	for _, c := range []struct {
		name    string
		options []dhcpv4.Option
		want    []string
	}{
		{"router of the network", []dhcpv4.Option{raw(3, 192, 0, 2, 1)}, []string{"0.0.0.0/0 192.0.2.1"}},
		{"first router that can be one", []dhcpv4.Option{raw(3, 0, 0, 0, 0, 224, 0, 0, 1, 192, 0, 2, 1, 192, 0, 2, 2)},
			[]string{"0.0.0.0/0 192.0.2.1"}},
		{"router elsewhere", []dhcpv4.Option{raw(3, 10, 0, 0, 1)}, []string{"0.0.0.0/0 10.0.0.1" + off}},
		{"we are no router", []dhcpv4.Option{raw(3, 192, 0, 2, 50)}, nil},
		{"121 stands above 3", []dhcpv4.Option{raw(3, 192, 0, 2, 1),
			raw(121, 24, 198, 51, 100, 192, 0, 2, 9, 0, 192, 0, 2, 2)},
			[]string{"198.51.100.0/24 192.0.2.9", "0.0.0.0/0 192.0.2.2"}},
		{"direct ones first", []dhcpv4.Option{raw(121, 0, 10, 0, 0, 1, 32, 10, 0, 0, 1, 0, 0, 0, 0)},
			[]string{"10.0.0.1/32 invalid IP", "0.0.0.0/0 10.0.0.1" + off}},
		{"bits behind the mask", []dhcpv4.Option{raw(121, 25, 198, 51, 100, 255, 192, 0, 2, 9)},
			[]string{"198.51.100.128/25 192.0.2.9"}},
		{"121 cut", []dhcpv4.Option{raw(3, 192, 0, 2, 1), raw(121, 24, 198, 51, 100, 192, 0)},
			[]string{"0.0.0.0/0 192.0.2.1"}},
		{"121 of 33 bits", []dhcpv4.Option{raw(3, 192, 0, 2, 1), raw(121, 33, 1, 2, 3, 4, 5, 192, 0, 2, 2)},
			[]string{"0.0.0.0/0 192.0.2.1"}},
		{"loops and groups", []dhcpv4.Option{raw(121, 8, 127, 192, 0, 2, 9, 4, 224, 192, 0, 2, 9, 8, 10, 192, 0, 2, 9)},
			[]string{"10.0.0.0/8 192.0.2.9"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := parseLease(ackOf("192.0.2.50", append(c.options, mask(255, 255, 255, 0))...))
			if err != nil || len(l.Routes) != len(c.want) {
				t.Fatalf("routes = %v, %v, want %v", l.Routes, err, c.want)
			}
			for i, r := range l.Routes {
				got := r.Destination.String() + " " + r.Gateway.String()
				if r.OnLink {
					got += off
				}
				if got != c.want[i] {
					t.Errorf("route %d = %q, want %q", i, got, c.want[i])
				}
			}
		})
	}
}

func TestManyRoutesAndServersAreCut(t *testing.T) {
	var routes, dns []byte
	for i := range 200 {
		routes = append(routes, 24, 10, byte(i), 1, 192, 0, 2, 9)
		dns = append(dns, 192, 0, 2, byte(i+1))
	}
	l, err := parseLease(ackOf("192.0.2.50", raw(121, routes...), raw(6, dns...), raw(42, dns...)))
	if err != nil || len(l.Routes) != maxRoutes ||
		len(l.NameServers) != maxServers || len(l.TimeServers) != maxServers {
		t.Errorf("%d routes, %d and %d servers, %v, want %d, %d, %d",
			len(l.Routes), len(l.NameServers), len(l.TimeServers), err, maxRoutes, maxServers, maxServers)
	}
}

func TestDomainIsANameOrNothing(t *testing.T) {
	for text, want := range map[string]string{
		"example.org": "example.org", "lan\x00": "lan", "a\nnameserver 192.0.2.66": "", "a b": "", "": "",
	} {
		if got := parseDomain([]byte(text)); got != want {
			t.Errorf("parseDomain(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzLease(f *testing.F) {
	f.Add(ackOf("192.0.2.50", mask(255, 255, 255, 0), raw(3, 192, 0, 2, 1), raw(6, 192, 0, 2, 1),
		raw(51, 0, 0, 14, 16), raw(121, 24, 198, 51, 100, 192, 0, 2, 9)).ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b, boardMAC)
		if err != nil {
			return
		}
		l, err := parseLease(m)
		if err != nil {
			return
		}
		if !isHost(l.Address) || len(l.Routes) > maxRoutes || len(l.NameServers) > maxServers {
			t.Fatalf("lease %+v", l)
		}
		if l.Duration != Forever && !(0 < l.Renew && l.Renew < l.Rebind && l.Rebind < l.Duration) {
			t.Fatalf("times %v %v %v", l.Renew, l.Rebind, l.Duration)
		}
		if l.Duration < leastLease || l.Renew < leastLease/2 {
			t.Fatalf("renewal after %v of %v", l.Renew, l.Duration)
		}
		for _, r := range l.Routes {
			if r.Destination != r.Destination.Masked() || r.Gateway.IsValid() && !isUnicast(r.Gateway) {
				t.Fatalf("route %v", r)
			}
		}
	})
}

func FuzzARP(f *testing.F) {
	f.Add(ARP{Request: true, Sender: boardMAC, SenderIP: netip.MustParseAddr("192.0.2.1"),
		TargetIP: netip.MustParseAddr("192.0.2.2")}.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseARP(b)
		if err != nil {
			return
		}
		c := newQuickClaim(netip.MustParseAddr("192.0.2.2"), start, func() float64 { return 0 })
		c.judge(p, start)
		again, err := ParseARP(p.Bytes())
		if err != nil || again.SenderIP != p.SenderIP || again.TargetIP != p.TargetIP || again.Request != p.Request {
			t.Fatalf("%v became %v, %v", p, again, err)
		}
	})
}

// FuzzClient feeds packets in any order and time to a client that has a lease or waits for one.
func FuzzClient(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, uint8(0))
	f.Add([]byte{5, 5, 2, 6, 6, 3, 6, 0, 0, 9, 1, 2, 3, 5}, uint8(1))
	f.Fuzz(func(t *testing.T, script []byte, flags uint8) {
		s := homeServer()
		s.noAck, s.nak = flags&1 != 0, flags&2 != 0
		l := newLAN(t, s)
		if flags&4 != 0 {
			l.hosts[s.offer.Addr()] = net.HardwareAddr{2, 0, 0, 0, 0, 9}
		}
		for _, b := range script[:min(len(script), 100)] {
			switch b % 8 {
			case 0:
				l.unplug()
			case 1:
				l.plug()
			case 2:
				s.nakOnce = !s.nakOnce
			case 3:
				s.silent = !s.silent
			case 4:
				l.client.ARP(l.now, ARP{Sender: net.HardwareAddr{2, 0, 0, 0, 0, b}, SenderIP: s.offer.Addr()})
			case 5:
				s.offer = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, b | 2}), 24)
			default:
				l.run(time.Duration(b) * time.Duration(b) * 100 * time.Millisecond)
			}
		}
		hours := l.now.Sub(start).Hours() + 1
		if n := float64(len(l.sent)); n > hours*400+float64(len(script))*20 {
			t.Fatalf("%v messages in %v hours", n, hours)
		}
	})
}
