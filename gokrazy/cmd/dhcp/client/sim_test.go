package client

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

var boardMAC = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}

// A lan plays a link, its servers and its hosts in a time of its own.
type lan struct {
	t       *testing.T
	now     time.Time
	client  *Client
	servers []*server
	hosts   map[netip.Addr]net.HardwareAddr // who answers ARP
	pending []func()                        // what arrives within the next millisecond

	sent       []string // "12s DISCOVER to 255.255.255.255"
	secs       []uint16 // what each of them says of the time since we began
	present    Configuration
	refuses    func(Configuration) bool // whether the kernel does not take it
	changes    []string                 // "12s 192.0.2.50/24"
	remembered *Granted
	files      int // how often it was
	log        bytes.Buffer
}

// A server answers with what it was told.
type server struct {
	address  netip.Addr
	offer    netip.Prefix
	options  []dhcpv4.Option
	noLease  bool // no option 51
	silent   bool
	noAck    bool // offers only
	nak      bool // refuses each request that reaches it
	nakOnce  bool
	declined []netip.Addr
	requests int
}

var start = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

func newLAN(t *testing.T, servers ...*server) *lan {
	l := &lan{t: t, now: start, servers: servers, hosts: map[netip.Addr]net.HardwareAddr{}}
	l.client = &Client{
		Hardware: boardMAC, HostName: "krazycam", Port: l,
		Log:    slog.New(slog.NewTextHandler(&l.log, nil)),
		Random: rand.New(rand.NewPCG(1, 2)).Float64,
	}
	return l
}

func (l *lan) age() string { return l.now.Sub(start).Round(time.Second).String() }

// run lets d pass.
func (l *lan) run(d time.Duration) {
	stuck := 0
	for end := l.now.Add(d); ; {
		for len(l.pending) > 0 {
			l.now = l.now.Add(time.Millisecond)
			next := l.pending[0]
			l.pending = l.pending[1:]
			next()
		}
		at := l.client.Deadline()
		if at.IsZero() || at.After(end) {
			l.now = end
			return
		}
		stuck++
		if at.After(l.now) {
			l.now, stuck = at, 0
		}
		l.client.Tick(l.now)
		if stuck > 20 {
			l.t.Fatalf("at %v: the deadline does not move: state %v", l.age(), l.client.state)
		}
	}
}

func (l *lan) plug()   { l.client.CarrierChanged(l.now, true) }
func (l *lan) unplug() { l.client.CarrierChanged(l.now, false) }

func (l *lan) Send(m *dhcpv4.DHCPv4, from, to netip.Addr) {
	if m.MessageType() != dhcpv4.MessageTypeDiscover && to.IsValid() && from == to {
		l.t.Errorf("a message from %v to itself", from)
	}
	l.sent = append(l.sent, fmt.Sprintf("%s %v to %v", l.age(), m.MessageType(), to))
	l.secs = append(l.secs, m.NumSeconds)
	for _, s := range l.servers {
		if answer := s.answer(l.t, m, to); answer != nil {
			l.pending = append(l.pending, func() {
				parsed, err := Parse(answer.ToBytes(), boardMAC)
				if err != nil {
					l.t.Fatal(err)
				}
				l.client.Message(l.now, parsed, s.address)
			})
		}
	}
}

func (l *lan) SendARP(p ARP) {
	if back, err := ParseARP(p.Bytes()); err != nil || back.TargetIP != p.TargetIP {
		l.t.Fatalf("ARP %v does not survive its bytes: %v", p, err)
	}
	if mac := l.hosts[p.TargetIP]; mac != nil {
		l.pending = append(l.pending, func() {
			l.client.ARP(l.now, ARP{Sender: mac, SenderIP: p.TargetIP, TargetIP: p.SenderIP})
		})
	}
}

func (l *lan) Configure(c Configuration) error {
	if l.refuses != nil && l.refuses(c) {
		return errors.New("no such device")
	}
	l.present = c
	what := fmt.Sprintf("%s %v", l.age(), c.Address)
	if !c.Address.IsValid() {
		what = l.age() + " none"
	}
	l.changes = append(l.changes, what)
	return nil
}

func (l *lan) Remember(g *Granted) {
	if l.files++; g != nil {
		granted := *g
		g = &granted
	}
	l.remembered = g
}

func (s *server) answer(t *testing.T, m *dhcpv4.DHCPv4, to netip.Addr) *dhcpv4.DHCPv4 {
	if s.silent || to.IsValid() && isUnicast(to) && to != s.address {
		return nil
	}
	kind := dhcpv4.MessageTypeOffer
	switch m.MessageType() {
	case dhcpv4.MessageTypeDecline:
		s.declined = append(s.declined, netip.AddrFrom4([4]byte(m.RequestedIPAddress())))
		return nil
	case dhcpv4.MessageTypeRequest:
		if id := m.ServerIdentifier(); id != nil && !id.Equal(s.address.AsSlice()) {
			return nil // another was chosen
		}
		s.requests++
		kind = dhcpv4.MessageTypeAck
		switch {
		case s.noAck:
			return nil
		case s.nak, s.nakOnce:
			kind, s.nakOnce = dhcpv4.MessageTypeNak, false
		}
	}
	a, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(kind),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(s.address.AsSlice())))
	if err != nil {
		t.Fatal(err)
	}
	if kind == dhcpv4.MessageTypeNak {
		return a
	}
	a.YourIPAddr = s.offer.Addr().AsSlice()
	a.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(s.offer.Bits(), 32)))
	if !s.noLease {
		a.UpdateOption(dhcpv4.OptIPAddressLeaseTime(time.Hour))
	}
	for _, o := range s.options {
		a.UpdateOption(o)
	}
	return a
}

// count gives how many messages of a kind were sent.
func (l *lan) count(kind string) int {
	n := 0
	for _, s := range l.sent {
		if bytes.Contains([]byte(s), []byte(kind)) {
			n++
		}
	}
	return n
}

func (l *lan) wantAddress(want string) {
	l.t.Helper()
	got := ""
	if l.present.Address.IsValid() {
		got = l.present.Address.String()
	}
	if got != want {
		l.t.Fatalf("at %s address = %q, want %q; sent %q; changes %q; log:\n%s",
			l.age(), got, want, l.sent, l.changes, l.log.String())
	}
}

func (l *lan) wantLog(words string, times int) {
	l.t.Helper()
	if n := bytes.Count(l.log.Bytes(), []byte(words)); n != times {
		l.t.Errorf("log says %q %d times, want %d:\n%s", words, n, times, l.log.String())
	}
}

func homeServer(options ...dhcpv4.Option) *server {
	return &server{
		address: netip.MustParseAddr("192.0.2.1"), offer: netip.MustParsePrefix("192.0.2.50/24"),
		options: slices.Concat([]dhcpv4.Option{
			dhcpv4.OptRouter(net.IP{192, 0, 2, 1}), dhcpv4.OptDNS(net.IP{192, 0, 2, 1}),
		}, options),
	}
}

func otherServer() *server {
	return &server{
		address: netip.MustParseAddr("198.51.100.1"), offer: netip.MustParsePrefix("198.51.100.7/24"),
		options: []dhcpv4.Option{dhcpv4.OptRouter(net.IP{198, 51, 100, 1})},
	}
}
