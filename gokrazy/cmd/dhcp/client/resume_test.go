package client

import (
	"bytes"
	"net"
	"testing"
	"time"
)

var routerMAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}

// restarted gives a LAN as another one left it, with a client that was started anew.
func (l *lan) restarted(t *testing.T) *lan {
	again := newLAN(t, l.servers...)
	again.now, again.hosts, again.present = l.now, l.hosts, l.present
	if l.remembered != nil {
		again.client.Resume(*l.remembered)
	}
	return again
}

func TestRestartedProgramKeepsItsLeaseBesideTheSameRouter(t *testing.T) {
	for _, c := range []struct {
		name   string
		router net.HardwareAddr // who has the router's address after the restart; nil is nobody
		want   string
	}{
		{"the router is the same", routerMAC, "192.0.2.50/24"},
		{"the router is another", net.HardwareAddr{2, 0, 0, 0, 0, 2}, ""},
		{"there is no router", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := homeServer()
			l := newLAN(t, s)
			l.hosts[s.address] = routerMAC
			l.plug()
			l.run(10 * time.Second)
			s.silent = true
			l = l.restarted(t)
			l.hosts[s.address] = c.router
			l.plug()
			l.run(6 * time.Second)
			l.wantAddress(c.want)
		})
	}
}

func TestLeaseThatIsTakenUpWithoutACarrierEndsInTime(t *testing.T) {
	l := newLAN(t, homeServer())
	l.plug()
	l.run(10 * time.Second)
	l = l.restarted(t)
	l.run(59 * time.Minute)
	l.wantAddress("192.0.2.50/24")
	l.run(time.Minute)
	l.wantAddress("")
}

// A Linux bridge passes nothing on for 1.1 s after its port came up.
func TestRouterBehindABridgeThatStartsIsRecognised(t *testing.T) {
	s := homeServer()
	l := newLAN(t, s)
	l.hosts[s.address] = routerMAC
	l.plug()
	l.run(10 * time.Second)
	l.unplug()
	s.silent = true
	delete(l.hosts, s.address)
	l.plug()
	l.run(1100 * time.Millisecond)
	l.hosts[s.address] = routerMAC
	l.run(10 * time.Second)
	l.wantAddress("192.0.2.50/24")
}

func TestManyRoutersOfOneAddressAreFewFiles(t *testing.T) {
	s := homeServer()
	l := newLAN(t, s)
	l.plug()
	l.run(time.Minute)
	before := l.files
	var last net.HardwareAddr
	for n := range 120_000 { // two minutes
		last = net.HardwareAddr{2, 0, 0, 0, 1, byte(n)}
		l.client.ARP(l.now, ARP{Sender: last, SenderIP: s.address, TargetIP: s.offer.Addr()})
		l.run(time.Millisecond)
	}
	if n := l.files - before; n < 1 || n > 3 {
		t.Errorf("%d files in two minutes, want one a minute", n)
	}
	l.run(time.Minute)
	l.client.ARP(l.now, ARP{Sender: routerMAC, SenderIP: s.address, TargetIP: s.offer.Addr()})
	if got := l.remembered.Router; !bytes.Equal(got, routerMAC) {
		t.Errorf("remembered router = %v, want %v", got, routerMAC)
	}
}
