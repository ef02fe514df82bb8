package main

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func itoa(n int) string { return strconv.Itoa(n) }

// A scriptedServer answers as no honest server does.
type scriptedServer struct {
	conn net.PacketConn

	mutex    sync.Mutex
	address  netip.Addr // to give
	nak      bool       // refuse requests
	options  []dhcpv4.Option
	requests int
	declines int
}

func (b *testbed) script(address string, options ...dhcpv4.Option) *scriptedServer {
	b.t.Helper()
	s := &scriptedServer{conn: b.listenAtFar("br1", serverPort), address: addr(address), options: options}
	ended := make(chan struct{})
	b.t.Cleanup(func() { s.conn.Close(); <-ended })
	go func() { defer close(ended); s.run(b.t) }()
	return s
}

func (s *scriptedServer) run(t *testing.T) {
	buf := make([]byte, 2000)
	for {
		n, _, err := s.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		m, err := dhcpv4.FromBytes(buf[:n])
		if err != nil {
			t.Errorf("dhcp sent %x: %v", buf[:n], err)
			continue
		}
		if a := s.answer(t, m); a != nil {
			s.conn.WriteTo(a.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: clientPort})
		}
	}
}

func (s *scriptedServer) answer(t *testing.T, m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	kind := dhcpv4.MessageTypeOffer
	switch m.MessageType() {
	case dhcpv4.MessageTypeDecline:
		s.declines++
		return nil
	case dhcpv4.MessageTypeRequest:
		s.requests++
		kind = dhcpv4.MessageTypeAck
		if s.nak {
			kind = dhcpv4.MessageTypeNak
		}
	}
	a, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(kind),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP{192, 0, 2, 1})))
	if err != nil {
		t.Error(err)
		return nil
	}
	if kind == dhcpv4.MessageTypeNak {
		return a
	}
	a.YourIPAddr = s.address.AsSlice()
	a.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(24, 32)))
	a.UpdateOption(dhcpv4.OptRouter(net.IP{192, 0, 2, 1}))
	a.UpdateOption(dhcpv4.OptIPAddressLeaseTime(20 * time.Second))
	for _, o := range s.options {
		a.UpdateOption(o)
	}
	return a
}

func (s *scriptedServer) change(f func()) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	f()
}

func TestNAKAtRenewalLeavesTheNewAddressAlone(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	s := b.script("192.0.2.50")
	b.start()
	b.awaitAddress("192.0.2.50/24")
	s.change(func() { s.nak = true })
	b.awaitAddress("") // at T1, after 10 s
	s.change(func() { s.nak, s.address = false, addr("192.0.2.51") })
	b.awaitAddress("192.0.2.51/24")
	b.wantOnly("routes", b.routes(), nil, []string{"192.0.2.50"})
	b.awaitLog("DHCP server refuses the address")
}

func TestOtherAddressAtRenewalReplacesTheOldOneInTheKernel(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	s := b.script("192.0.2.50")
	b.start()
	b.awaitAddress("192.0.2.50/24")
	s.change(func() { s.address = addr("192.0.2.61") })
	b.awaitAddress("192.0.2.61/24")
	b.await("routes", b.routes, func(r string) bool {
		return strings.Contains(r, "default via 192.0.2.1") && strings.Contains(r, "src 192.0.2.61") &&
			!strings.Contains(r, "192.0.2.50")
	})
}

func TestLeaseOfNoTimeIsNoFloodOfRequests(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	s := b.script("192.0.2.50", dhcpv4.OptIPAddressLeaseTime(0), dhcpv4.OptRenewTimeValue(0),
		dhcpv4.OptRebindingTimeValue(0))
	b.start()
	b.awaitAddress("192.0.2.50/24")
	before := 0 // one, or some more on a machine on which the answer takes its time
	s.change(func() { before = s.requests })
	time.Sleep(3 * time.Second) // silence is what is tested
	s.change(func() {
		if n := s.requests - before; n > 1 { // one may have been on its way
			t.Errorf("%d REQUESTs within 3 s of a lease, want none", n)
		}
	})
}

// It may be used for a moment: its owner has 0.3 s to answer the quick probes.
func TestAddressThatAnotherHostHasIsDeclinedAndGivenUp(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	b.atFar("ip", "addr", "add", "192.0.2.50/32", "dev", "lo") // whose kernel answers ARP
	s := b.script("192.0.2.50")
	b.start()
	b.awaitLog("address is another host's")
	b.awaitAddress("")
	b.await("declines", func() string {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		return itoa(s.declines)
	}, func(n string) bool { return n == "1" })
	s.change(func() { s.address = addr("192.0.2.52") })
	b.awaitAddress("192.0.2.52/24")
}

func TestSecondHostWithOurAddressTakesItFromUsInTheEnd(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "arping")
	s := b.script("192.0.2.50")
	b.start()
	b.awaitAddress("192.0.2.50/24")
	s.change(func() { s.address = addr("192.0.2.53") })
	b.atFar("ip", "addr", "add", "192.0.2.50/24", "dev", "br1")
	for range 2 {
		b.atFar("arping", "-U", "-c", "2", "-I", "br1", "192.0.2.50")
	}
	b.awaitLog("address is another host's")
	b.atFar("ip", "addr", "del", "192.0.2.50/24", "dev", "br1")
	b.awaitAddress("192.0.2.53/24")
}

func TestInterfaceThatComesAndGoes(t *testing.T) {
	t.Parallel()
	b := newTestbed(t, "dnsmasq")
	b.dnsmasq("br1", "192.0.2.50", "192.0.2.59")
	b.onBoard("ip", "link", "del", "near")
	b.start()
	for _, mac := range []string{"02:00:00:00:00:06", "02:00:00:00:00:07"} {
		b.addCable(mac)
		b.plug("br1")
		b.await("addresses", b.addresses, func(s string) bool { return strings.HasPrefix(s, "192.0.2.5") })
		b.onBoard("ip", "link", "del", "near")
		b.awaitLog("interface is gone")
	}
	b.await("resolv.conf", b.resolvConf, func(s string) bool { return !strings.Contains(s, "nameserver") })
}

func TestDefaultRouteThatTheKernelRefusesIsLoggedOnceAndTheAddressStays(t *testing.T) {
	t.Parallel()
	b := newTestbed(t)
	s := b.script("192.0.2.50", dhcpv4.OptRouter(net.IP{192, 0, 2, 255})) // the broadcast address
	b.start()
	b.awaitLog("the kernel refuses routes of the lease")
	b.awaitAddress("192.0.2.50/24")
	renewed := 0
	s.change(func() { renewed = s.requests + 2 })
	b.await("renewals", func() (got string) {
		s.change(func() { got = itoa(max(0, renewed-s.requests)) })
		return got
	}, func(left string) bool { return left == "0" })
	b.awaitAddress("192.0.2.50/24")
	if n := strings.Count(b.log.String(), "the kernel refuses routes"); n != 1 {
		t.Errorf("the refusal is logged %d times, want once:\n%s", n, b.log)
	}
}
