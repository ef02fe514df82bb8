package client

import (
	"net"
	"testing"
	"time"
)

// secondsWithout lets d pass and counts the seconds at whose end the interface has no address.
func (l *lan) secondsWithout(d time.Duration) int {
	n := 0
	for range int(d / time.Second) {
		l.run(time.Second)
		if !l.present.Address.IsValid() {
			n++
		}
	}
	return n
}

// However DHCP fails, the board can be reached over its cable.
func TestWhoeverGetsNoLeaseHasALinkLocalAddress(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(*lan, *server)
	}{
		{"no server", func(_ *lan, s *server) { s.silent = true }},
		{"a server that offers and never grants", func(_ *lan, s *server) { s.noAck = true }},
		{"a server that refuses for ever", func(_ *lan, s *server) { s.nak = true }},
		{"an address that another host always has", func(l *lan, s *server) {
			l.hosts[s.offer.Addr()] = net.HardwareAddr{2, 0, 0, 0, 0, 9}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := homeServer()
			l := newLAN(t, s)
			c.prepare(l, s)
			l.plug()
			if n := l.secondsWithout(time.Hour); n > 25 {
				t.Errorf("%d s of an hour without an address, want the first 10 to 20; changes %q", n, l.changes)
			}
			if !l.present.Address.Addr().IsLinkLocalUnicast() {
				t.Errorf("address = %v, want a link-local one", l.present.Address)
			}
			if n := len(l.changes); n != 1 {
				t.Errorf("%d changes of the interface, want 1: %q", n, l.changes)
			}
		})
	}
}

func TestLostLeaseThatNobodyReplacesGivesWayToALinkLocalAddress(t *testing.T) {
	s := homeServer()
	l := newLAN(t, s)
	l.plug()
	l.run(29 * time.Minute)
	s.nak = true
	if n := l.secondsWithout(time.Hour); n < 5 || n > 25 {
		t.Errorf("%d s without an address after the refusal, want 10 to 20; changes %q", n, l.changes)
	}
	s.nak = false
	l.run(2 * time.Minute)
	l.wantAddress("192.0.2.50/24")
}

// A board that stands for years meets ten hosts that take its address; each time it finds another
// one at once.
func TestConflictsOfLongAgoDoNotDelayTheNextLinkLocalAddress(t *testing.T) {
	l := newLAN(t)
	l.plug()
	l.run(time.Minute)
	for range 2 * maxConflicts {
		taken := l.present.Address.Addr()
		rival := ARP{Request: true, Sender: net.HardwareAddr{2, 0, 0, 0, 0, 9}, SenderIP: taken, TargetIP: taken}
		l.client.ARP(l.now, rival)
		l.client.ARP(l.now, rival)
		if n := l.secondsWithout(time.Minute); n > 12 || l.present.Address.Addr() == taken {
			t.Fatalf("%d s without an address after a conflict, want 4 to 10; address %v", n, l.present.Address)
		}
		l.run(time.Hour)
	}
}
