// From nothing to a lease: INIT, SELECTING, REQUESTING. Source: RFC 2131 sections 3.1 and 4.4.1.

package client

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	// RFC 2131 section 4.1 begins with 4 s; a first packet is often lost while a switch's port
	// comes up, and a picture waits for it. The longest pause is the RFC's.
	shortestPause = 500 * time.Millisecond
	longestPause  = 64 * time.Second
	// requestTries: after 0.5+1+2+4 s a server that offered is taken to be gone.
	requestTries = 4
	// offerWindow is how long other offers are waited for, if the first one is of a server that
	// failed before.
	offerWindow = time.Second
	// silenceBegins is how long nobody answers before that is said, and how long there is no address
	// before we choose one.
	silenceBegins = 10 * time.Second
	// declinePause is RFC 2131 section 3.1, step 5.
	declinePause = 10 * time.Second
)

// A pause doubles from shortestPause to longestPause, with up to a quarter of jitter either way
// (RFC 2131 section 4.1: 1 s of 4).
type pause struct{ tries int }

func (p *pause) next(random func() float64) time.Duration {
	d := longestPause
	if p.tries < 7 {
		d = shortestPause << p.tries
	}
	p.tries++
	return jittered(d, random)
}

func jittered(d time.Duration, random func() float64) time.Duration {
	return time.Duration(float64(d) * (0.75 + random()/2))
}

// startOver goes to INIT; the first DISCOVER leaves after wait. There is no wait of 1 to 10 s as
// in RFC 2131 section 4.4.1: boards that start together after a power cut do not start within the
// same millisecond, and their owners wait for pictures.
func (c *Client) startOver(now time.Time, wait time.Duration) {
	c.state, c.next = stateInit, now.Add(wait)
	c.pause, c.offer = pause{}, nil
	c.began = now.Add(wait)
	c.silentAt = c.began.Add(silenceBegins)
	if c.withoutSince.IsZero() {
		c.withoutSince = now
	}
}

// refusalPause is how long we wait after a refusal in a row of them. The first costs nothing: a
// NAK means most often that we came from another network.
func (c *Client) refusalPause() time.Duration {
	c.refusals++
	if c.refusals == 1 {
		return 0
	}
	p := pause{tries: c.refusals - 2}
	return p.next(c.Random)
}

// discover sends a DISCOVER, or takes the offer that there is when the window closes.
func (c *Client) discover(now time.Time) {
	if c.offer != nil {
		c.request(now)
		return
	}
	if c.state == stateInit {
		c.state = stateSelecting
		c.newTransaction()
	}
	m := c.newMessage(dhcpv4.MessageTypeDiscover, now.Sub(c.began))
	setRequested(m, c.wanted)
	c.broadcast(m)
	c.next = now.Add(c.pause.next(c.Random))
}

// offered takes the first offer, unless its server failed before and there may be a better one.
func (c *Client) offered(now time.Time, m *dhcpv4.DHCPv4) {
	if c.state != stateSelecting {
		return
	}
	l, err := parseLease(m)
	if err == nil && !l.Server.IsValid() {
		err = fmt.Errorf("no server identifier: %w", errUnusable)
	}
	if err != nil {
		c.complain("offer not used", "server", l.Server, "error", err)
		return
	}
	if !c.unreliable.has(l.Server) {
		c.offer = &l
		c.request(now)
		return
	}
	if c.offer == nil {
		c.offer, c.next = &l, now.Add(offerWindow)
	}
}

// request takes c.offer.
func (c *Client) request(now time.Time) {
	c.state, c.pause, c.sent = stateRequesting, pause{}, now
	c.requestAgain(now)
}

func (c *Client) requestAgain(now time.Time) {
	if c.pause.tries == requestTries {
		c.Log.Warn("DHCP server offered an address and then fell silent", "server", c.offer.Server)
		c.unreliable.add(c.offer.Server)
		c.startOver(now, c.refusalPause())
		return
	}
	m := c.newMessage(dhcpv4.MessageTypeRequest, now.Sub(c.began))
	setRequested(m, c.offer.Address.Addr())
	setServer(m, c.offer.Server)
	c.broadcast(m)
	c.next = now.Add(c.pause.next(c.Random))
}

// acknowledged takes a DHCPACK in each state that waits for one.
func (c *Client) acknowledged(now time.Time, m *dhcpv4.DHCPv4) {
	var server, address netip.Addr // whose answer it must be; the zero Addr is anybody's
	switch c.state {
	case stateRequesting:
		server, address = c.offer.Server, c.offer.Address.Addr()
	case stateRenewing:
		server = c.lease.Server
	case stateRebinding, stateRebooting:
	default:
		return
	}
	l, err := parseLease(m)
	switch {
	case err != nil:
		c.complain("lease not used", "server", l.Server, "error", err)
		return
	case !l.Server.IsValid() && !server.IsValid():
		return // RFC 2131 table 3: a server names itself in each ACK
	case !l.Server.IsValid():
		l.Server = server
	case server.IsValid() && l.Server != server:
		return
	}
	if address.IsValid() && l.Address.Addr() != address {
		c.complain("lease not used", "server", l.Server, "offered", address, "granted", l.Address.Addr())
		return
	}
	c.answered(l.Server)
	c.granted(now, l)
}

// refused takes a NAK: the address is dropped at once.
func (c *Client) refused(now time.Time, m *dhcpv4.DHCPv4, from netip.Addr) {
	server := firstAddress(m.Options.Get(dhcpv4.OptionServerIdentifier))
	var asked netip.Addr
	switch c.state {
	case stateRequesting:
		asked = c.offer.Server
	case stateRenewing:
		asked = c.lease.Server
	case stateRebinding, stateRebooting:
	default:
		return
	}
	if asked.IsValid() && server.IsValid() && server != asked {
		return
	}
	if !server.IsValid() {
		server = from
	}
	if c.state == stateRequesting {
		c.unreliable.add(server)
	}
	c.Log.Warn("DHCP server refuses the address",
		"server", server, "address", c.presentAddress(), "message", printable(m.Options.Get(dhcpv4.OptionMessage)))
	c.answered(server)
	c.wanted = netip.Addr{}
	c.drop()
	c.startOver(now, c.refusalPause())
}

// presentAddress is the one in question.
func (c *Client) presentAddress() netip.Addr {
	switch {
	case c.state == stateRequesting:
		return c.offer.Address.Addr()
	case c.lease != nil:
		return c.lease.Address.Addr()
	}
	return netip.Addr{}
}

// printable is a server's text for a log: short, and of one line.
func printable(b []byte) string {
	const longest = 64
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b[:min(len(b), longest)]))
}

func (c *Client) broadcast(m *dhcpv4.DHCPv4) {
	from := netip.IPv4Unspecified()
	if own, ok := netip.AddrFromSlice(m.ClientIPAddr.To4()); ok {
		from = own
	}
	c.Port.Send(m, from, netip.AddrFrom4([4]byte{255, 255, 255, 255}))
}

func (c *Client) newTransaction() {
	c.transaction = uint32(c.Random() * math.MaxUint32)
	c.complaints = 0
}

// complain logs what is wrong with an answer, a few times in a transaction: a hostile host can send
// thousands.
func (c *Client) complain(what string, args ...any) {
	const most = 3
	if c.complaints++; c.complaints <= most {
		c.Log.Warn(what, args...)
	}
}

func transactionOf(m *dhcpv4.DHCPv4) uint32 { return binary.BigEndian.Uint32(m.TransactionID[:]) }

// servers is a short list of those that offered and then failed.
type servers []netip.Addr

const maxUnreliable = 8

func (s servers) has(a netip.Addr) bool { return slices.Contains(s, a) }

func (s *servers) add(a netip.Addr) {
	if !a.IsValid() || s.has(a) {
		return
	}
	*s = append(*s, a)
	*s = (*s)[max(0, len(*s)-maxUnreliable):]
}
