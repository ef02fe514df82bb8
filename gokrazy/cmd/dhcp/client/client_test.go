package client

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestLeaseIsInUseWithinHalfASecond(t *testing.T) {
	l := newLAN(t, homeServer())
	l.plug()
	l.run(500 * time.Millisecond)
	l.wantAddress("192.0.2.50/24")
	want := []Route{{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1")}}
	if diff := cmp.Diff(want, l.present.Routes, cmp.Comparer(func(a, b Route) bool { return a == b })); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	if l.remembered == nil || l.remembered.Address.String() != "192.0.2.50/24" {
		t.Errorf("remembered = %v, want the lease", l.remembered)
	}
	l.run(time.Minute)
	l.wantLog("address by DHCP", 1)
	if n := len(l.changes); n != 1 {
		t.Errorf("%d changes of the interface, want 1: %q", n, l.changes)
	}
}

func TestLeaseIsRenewedAtHalfOfItAndSaysNothing(t *testing.T) {
	l := newLAN(t, homeServer())
	l.plug()
	l.run(24 * time.Hour)
	l.wantAddress("192.0.2.50/24")
	if n := l.count("REQUEST to 192.0.2.1"); n < 46 || n > 48 {
		t.Errorf("%d renewals in a day of leases of an hour, want 47", n)
	}
	if n := l.count("DISCOVER"); n != 1 {
		t.Errorf("%d DISCOVER, want 1", n)
	}
	l.wantLog("level=", 1)
}

func TestServerGoneIsAskedByUnicastThenByBroadcastThenTheLeaseEnds(t *testing.T) {
	s := homeServer()
	l := newLAN(t, s)
	l.plug()
	l.run(time.Minute)
	s.silent = true
	l.run(59*time.Minute - time.Second)
	l.wantAddress("192.0.2.50/24")
	if l.count("REQUEST to 192.0.2.1") < 2 || l.count("REQUEST to 255.255.255.255") < 3 {
		t.Errorf("sent %q, want unicast from T1 and broadcast from T2", l.sent)
	}
	if n := l.count("REQUEST"); n > 16 {
		t.Errorf("%d REQUESTs in an hour, want no more than one a minute near the end", n)
	}
	l.run(2 * time.Second)
	l.wantAddress("")
	l.wantLog("no DHCP server answers", 1)
	l.wantLog("lease expired", 1)
	l.run(time.Hour)
	if !strings.HasPrefix(l.present.Address.String(), "169.254.") {
		t.Errorf("address = %v, want a link-local one", l.present.Address)
	}
	s.silent = false
	l.run(2 * time.Minute)
	l.wantAddress("192.0.2.50/24")
	l.wantLog("no DHCP server answers", 1)
	l.wantLog("DHCP server answers again", 1)
}

func TestServerGoneForAnHourOfALongLeaseIsNoMatter(t *testing.T) {
	s := homeServer(dhcpv4.OptIPAddressLeaseTime(4 * time.Hour))
	l := newLAN(t, s)
	l.plug()
	l.run(100 * time.Minute)
	s.silent = true
	l.run(time.Hour)
	s.silent = false
	l.run(2 * time.Hour)
	l.wantAddress("192.0.2.50/24")
	if n := len(l.changes); n > 2 {
		t.Errorf("changes %q, want the address to stay", l.changes)
	}
}

func TestNAKDropsTheAddressAtOnce(t *testing.T) {
	s := homeServer()
	l := newLAN(t, s)
	l.plug()
	l.run(29 * time.Minute)
	s.nakOnce, s.offer = true, netip.MustParsePrefix("192.0.2.60/24")
	l.run(time.Minute + 500*time.Millisecond)
	l.wantAddress("192.0.2.60/24")
	if diff := cmp.Diff([]string{"0s 192.0.2.50/24", "30m0s none", "30m0s 192.0.2.60/24"}, l.changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	l.wantLog("DHCP server refuses the address", 1)
}

func TestNAKForEverIsNoFlood(t *testing.T) {
	s := homeServer()
	s.nak = true
	l := newLAN(t, s)
	l.plug()
	l.run(time.Hour)
	if n := l.count("REQUEST"); n < 30 || n > 80 {
		t.Errorf("%d REQUESTs in an hour of refusals, want about one a minute", n)
	}
}

func TestAnotherAddressAtRenewalReplacesTheOldOne(t *testing.T) {
	s := homeServer()
	l := newLAN(t, s)
	l.plug()
	l.run(29 * time.Minute)
	s.offer = netip.MustParsePrefix("192.0.2.61/24")
	l.run(2 * time.Minute)
	l.wantAddress("192.0.2.61/24")
}

// What a lease says of its times is not always sensible.
func TestNonsenseTimesNeverRepeatREQUESTWithoutPause(t *testing.T) {
	sec := func(n time.Duration) time.Duration { return n * time.Second }
	for _, c := range []struct {
		name                  string
		lease, renew, rebind  time.Duration
		wantFewest, wantMostN int // REQUESTs in an hour
	}{
		{"T1 is 0", time.Hour, 0, 0, 2, 3},
		{"lease is 0", 0, 0, 0, 60, 121},
		{"all is 0 but T2", 0, 0, sec(5), 60, 121},
		{"lease is 1 s", sec(1), 0, 0, 180, 361},
		{"T1 is 1 s", time.Hour, sec(1), sec(2), 59, 61},
		{"T1 above T2", time.Hour, 50 * time.Minute, 40 * time.Minute, 1, 3},
		{"T1 above the lease", time.Hour, 2 * time.Hour, 3 * time.Hour, 2, 3},
		{"T1 never", time.Hour, dhcpv4.MaxLeaseTime, dhcpv4.MaxLeaseTime, 2, 3},
		{"lease for ever", dhcpv4.MaxLeaseTime, sec(1), sec(2), 1, 1},
		{"lease of 136 years less 1 s", dhcpv4.MaxLeaseTime - sec(1), 0, 0, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := homeServer(dhcpv4.OptIPAddressLeaseTime(c.lease), dhcpv4.OptRenewTimeValue(c.renew),
				dhcpv4.OptRebindingTimeValue(c.rebind))
			l := newLAN(t, s)
			l.plug()
			l.run(time.Hour)
			l.wantAddress("192.0.2.50/24")
			if n := l.count("REQUEST"); n < c.wantFewest || n > c.wantMostN {
				t.Errorf("%d REQUESTs in an hour, want %d to %d", n, c.wantFewest, c.wantMostN)
			}
		})
	}
}

func TestOfTwoServersTheFirstIsTakenAndTheOtherStandsIn(t *testing.T) {
	first, second := homeServer(), otherServer()
	l := newLAN(t, first, second)
	l.plug()
	l.run(time.Minute)
	l.wantAddress("192.0.2.50/24")
	if second.requests != 0 {
		t.Errorf("the other server had %d requests for it, want none", second.requests)
	}
	first.silent = true
	l.run(2 * time.Hour)
	l.wantAddress("198.51.100.7/24")
}

func TestServerThatOffersAndDoesNotGrantIsPassedOver(t *testing.T) {
	for _, broken := range []func(*server){
		func(s *server) { s.noAck = true },
		func(s *server) { s.nak = true },
	} {
		first, second := homeServer(), otherServer()
		broken(first)
		l := newLAN(t, first, second)
		l.plug()
		l.run(30 * time.Second)
		l.wantAddress("198.51.100.7/24")
	}
}

func TestNoServerMeansLinkLocalAndDHCPGoesOn(t *testing.T) {
	s := homeServer()
	s.silent = true
	l := newLAN(t, s)
	l.plug()
	l.run(20 * time.Second)
	if !netip.MustParsePrefix("169.254.0.0/16").Contains(l.present.Address.Addr()) || len(l.present.Routes) > 0 {
		t.Fatalf("configuration = %v, want a link-local address alone", l.present)
	}
	l.run(time.Hour)
	if n := l.count("DISCOVER"); n < 55 || n > 80 {
		t.Errorf("%d DISCOVERs in an hour, want about one each 64 s", n)
	}
	s.silent = false
	l.run(90 * time.Second)
	l.wantAddress("192.0.2.50/24")
	if n := len(l.changes); n != 2 {
		t.Errorf("changes %q, want the link-local address and the lease", l.changes)
	}
}

func TestLinkLocalAddressOfAnotherIsNotTaken(t *testing.T) {
	l := newLAN(t)
	taken := localAddress(boardMAC, 0)
	l.hosts[taken] = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	l.plug()
	l.run(time.Minute)
	if got := l.present.Address.Addr(); got == taken || !got.IsLinkLocalUnicast() {
		t.Errorf("address = %v, want a link-local one other than %v", got, taken)
	}
}

func TestAddressOfAnotherHostIsDeclined(t *testing.T) {
	s := homeServer()
	l := newLAN(t, s)
	l.hosts[s.offer.Addr()] = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	l.plug()
	l.run(5 * time.Second)
	if len(l.changes) > 1 || len(s.declined) != 1 || s.declined[0] != s.offer.Addr() {
		t.Errorf("changes %q, declined %v, want the address not used and declined once", l.changes, s.declined)
	}
	s.offer = netip.MustParsePrefix("192.0.2.51/24")
	l.run(10 * time.Second)
	l.wantAddress("192.0.2.51/24")
	l.wantLog("address is another host's", 1)
}

func TestConflictsForEverAreNoFlood(t *testing.T) {
	s := homeServer()
	l := newLAN(t, s)
	l.hosts[s.offer.Addr()] = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	l.plug()
	l.run(time.Hour)
	if n := len(s.declined); n < 30 || n > 80 {
		t.Errorf("%d DECLINEs in an hour, want about one a minute", n)
	}
}

func TestUsedAddressIsDefendedOnceAndThenGivenUp(t *testing.T) {
	s := homeServer()
	l := newLAN(t, s)
	l.plug()
	l.run(time.Minute)
	rival := ARP{Request: true, Sender: net.HardwareAddr{2, 0, 0, 0, 0, 9},
		SenderIP: s.offer.Addr(), TargetIP: s.offer.Addr()}
	l.client.ARP(l.now, rival)
	l.run(11 * time.Second)
	l.client.ARP(l.now, rival)
	l.wantAddress("192.0.2.50/24")
	l.run(9 * time.Second)
	l.client.ARP(l.now, rival)
	l.wantAddress("")
	if len(s.declined) != 1 {
		t.Errorf("declined %v, want once", s.declined)
	}
}

func TestOwnARPIsNoConflict(t *testing.T) {
	s := homeServer()
	l := newLAN(t, s)
	l.hosts[s.offer.Addr()] = boardMAC
	l.plug()
	l.run(time.Minute)
	l.wantAddress("192.0.2.50/24")
}

func TestCableBackInTheSameNetworkKeepsTheAddress(t *testing.T) {
	l := newLAN(t, homeServer())
	l.plug()
	l.run(time.Minute)
	l.unplug()
	l.run(time.Minute)
	l.plug()
	l.run(time.Minute)
	l.wantAddress("192.0.2.50/24")
	if slices.Contains(l.changes, "none") || l.count("DISCOVER") != 1 {
		t.Errorf("changes %q, sent %q, want the lease asked for again and kept", l.changes, l.sent)
	}
}

func TestCableInAnotherNetworkTakesItsAddress(t *testing.T) {
	for _, c := range []struct {
		name   string
		nak    bool
		silent time.Duration
	}{
		{"whose server refuses the old one", true, 0},
		{"whose server is silent about the old one", false, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLAN(t, homeServer())
			l.plug()
			l.run(time.Minute)
			l.unplug()
			l.run(time.Minute)
			other := otherServer()
			other.nakOnce, other.silent = c.nak, !c.nak
			l.servers = []*server{other}
			l.plug()
			l.run(c.silent)
			other.silent = false
			l.run(time.Second + c.silent/2)
			l.wantAddress("198.51.100.7/24")
		})
	}
}

func TestCableInAnotherNetworkWhereOurAddressIsTakenIsNoticedByARP(t *testing.T) {
	l := newLAN(t, homeServer())
	l.plug()
	l.run(time.Minute)
	l.unplug()
	l.servers = nil
	l.hosts[netip.MustParseAddr("192.0.2.50")] = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	l.plug()
	l.run(50 * time.Millisecond)
	l.wantAddress("")
}

func TestServerStillStartingBehindTheSameRouterKeepsTheLease(t *testing.T) {
	s := homeServer()
	l := newLAN(t, s)
	l.hosts[s.address] = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	l.plug()
	l.run(10 * time.Second)
	l.unplug()
	l.run(10 * time.Second)
	s.silent = true
	l.plug()
	l.run(30 * time.Second)
	l.wantAddress("192.0.2.50/24")
	s.silent = false
	l.run(2 * time.Minute)
	l.wantAddress("192.0.2.50/24")
	if l.count("DISCOVER") != 1 {
		t.Errorf("sent %q, want no second DISCOVER", l.sent)
	}
}

func TestLeaseExpiresWithoutACarrier(t *testing.T) {
	l := newLAN(t, homeServer())
	l.plug()
	l.run(time.Minute)
	l.unplug()
	l.run(time.Hour)
	l.wantAddress("")
	l.plug()
	l.run(time.Second)
	l.wantAddress("192.0.2.50/24")
}

func TestRestartedProgramTakesItsLeaseUpAgain(t *testing.T) {
	l := newLAN(t, homeServer())
	l.client.Resume(Granted{
		Lease: Lease{Configuration: Configuration{Address: netip.MustParsePrefix("192.0.2.50/24")},
			Server: netip.MustParseAddr("192.0.2.1"), Duration: time.Hour, Renew: time.Minute, Rebind: 2 * time.Minute},
		Since: start.Add(-30 * time.Minute)})
	l.plug()
	l.run(time.Second)
	l.wantAddress("192.0.2.50/24")
	if l.count("DISCOVER") != 0 {
		t.Errorf("sent %q, want a REQUEST alone", l.sent)
	}
	old := newLAN(t, otherServer())
	old.client.Resume(Granted{
		Lease: Lease{Configuration: Configuration{Address: netip.MustParsePrefix("192.0.2.50/24")},
			Duration: time.Hour},
		Since: start.Add(-2 * time.Hour)})
	old.plug()
	old.run(time.Second)
	old.wantAddress("198.51.100.7/24")
}

func TestHostileAnswersAreFewLines(t *testing.T) {
	s := homeServer()
	s.offer = netip.MustParsePrefix("224.0.0.1/24")
	l := newLAN(t, s)
	l.plug()
	l.run(500 * time.Millisecond)
	for range 1000 {
		m := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootReply, YourIPAddr: net.IPv4bcast, Options: dhcpv4.Options{}}
		m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeOffer))
		m.TransactionID = [4]byte{byte(l.client.transaction >> 24), byte(l.client.transaction >> 16),
			byte(l.client.transaction >> 8), byte(l.client.transaction)}
		l.client.Message(l.now, m, s.address)
	}
	l.wantLog("offer not used", 3)
}
