package client

import (
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// askedAgain gives a LAN on which the server fell silent, its router is there, and the cable was out.
func askedAgain(t *testing.T, options ...dhcpv4.Option) *lan {
	s := homeServer(options...)
	l := newLAN(t, s)
	l.hosts[s.address] = routerMAC
	l.plug()
	l.run(10 * time.Minute)
	s.silent = true
	l.unplug()
	l.run(time.Second)
	l.plug()
	l.run(10 * time.Second)
	l.wantAddress("192.0.2.50/24")
	l.sent, l.secs = nil, nil
	return l
}

func TestLeaseWithoutEndIsAskedForLessAndLessAndOfAllServers(t *testing.T) {
	l := askedAgain(t, dhcpv4.OptIPAddressLeaseTime(dhcpv4.MaxLeaseTime))
	l.run(4 * time.Hour)
	if n := l.count("REQUEST"); n < 6 || n > 10 {
		t.Errorf("%d REQUESTs in 4 h, want 8: the pause doubles; sent %q", n, l.sent)
	}
	if n := l.count("REQUEST to 192.0.2.1"); n != endlessRenewals {
		t.Errorf("%d REQUESTs to the server that granted, want %d, then broadcasts", n, endlessRenewals)
	}
	l.run(30 * 24 * time.Hour)
	if n := l.count("REQUEST"); n > 50 {
		t.Errorf("%d REQUESTs in a month, want one a day at last", n)
	}
	l.servers = []*server{{address: otherServer().address, offer: homeServer().offer, // a new one of the network
		options: []dhcpv4.Option{dhcpv4.OptIPAddressLeaseTime(dhcpv4.MaxLeaseTime)}}}
	l.run(25 * time.Hour)
	l.wantLog("DHCP server answers again", 1)
	before := len(l.sent)
	l.run(48 * time.Hour)
	l.wantAddress("192.0.2.50/24")
	if len(l.sent) > before {
		t.Errorf("sent %q after the grant, want nothing", l.sent[before:])
	}
}

func TestMessagesCountTheSecondsOfTheirExchange(t *testing.T) {
	for _, c := range []struct {
		name  string
		lease time.Duration
	}{
		{"before T1", 4 * time.Hour},
		{"of a lease without end", dhcpv4.MaxLeaseTime},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := askedAgain(t, dhcpv4.OptIPAddressLeaseTime(c.lease))
			l.run(2 * time.Hour)
			if len(l.secs) < 2 {
				t.Fatalf("sent %q, want several REQUESTs", l.sent)
			}
			if last := slices.Max(l.secs); l.secs[0] != 0 || last == 0 || last > 7200 || !slices.IsSorted(l.secs) {
				t.Errorf("secs = %v, want 0, then the time since", l.secs)
			}
		})
	}
}
