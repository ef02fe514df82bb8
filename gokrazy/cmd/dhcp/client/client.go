// Package client is a DHCP client for one interface without its sockets: carrier, messages, ARP
// packets and the passing of time come in by methods, and what is to be done leaves by a Port.
//
// There is no goroutine, clock or socket in here. The caller passes the time with each event, and
// calls Tick at Deadline at the latest. A Client belongs to one goroutine.
//
// The states are those of RFC 2131 figure 5. Beside them stand the claim of an address (claim.go)
// and, while no server answers, an address of our own choice (linklocal.go).
//
// Sources: RFC 2131, RFC 2132, RFC 3442, RFC 3927, RFC 5227.
package client

import (
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// A Port is the interface as the Client uses it. Nothing of it blocks for long.
type Port interface {
	// Send sends a message to a server's address, or to all if that is the broadcast address. from
	// is our own, or 0.0.0.0 as long as we have none.
	Send(m *dhcpv4.DHCPv4, from, to netip.Addr)
	SendARP(ARP)
	// Configure makes c all of IPv4 that the interface has: what it had before is gone afterwards.
	Configure(c Configuration) error
	// Remember keeps what a Client that starts anew after this one may Resume; nil: nothing.
	Remember(*Granted)
}

// A Granted lease counts from Since, when it was requested.
type Granted struct {
	Lease
	Since  time.Time
	Router net.HardwareAddr // of the default route, or nil as long as it is not known
}

// expires is when nobody may use it any more: the zero time is never.
func (g *Granted) expires() time.Time { return later(g.Since, g.Duration) }

// later is t + d, or the zero time, which is never.
func later(t time.Time, d time.Duration) time.Time {
	if d == Forever {
		return time.Time{}
	}
	return t.Add(d)
}

// A state is one of RFC 2131 figure 5. INIT and REQUESTING etc. are theirs.
type state int

const (
	stateInit       state = iota // nothing was sent yet, or we wait before we begin again
	stateSelecting               // DISCOVER was sent
	stateRequesting              // one offer was taken
	stateChecking                // granted, not in use yet: the quick probes run
	stateBound
	stateRenewing
	stateRebinding
	stateRebooting // the carrier is back, or this program: is the lease still good?
)

// A Client is one interface's.
type Client struct {
	Hardware net.HardwareAddr // 6 bytes
	HostName string           // sent to servers; "" sends none
	Port     Port
	Log      *slog.Logger
	Random   func() float64 // from 0 to 1, which is excluded

	carrier bool
	state   state
	next    time.Time // of the state's next step; the zero time: it waits for events alone
	pause   pause     // between messages of the state

	transaction uint32
	complaints  int       // logged about answers in this transaction
	began       time.Time // to look for an address, or to renew it
	sent        time.Time // the first REQUEST of the present transaction
	offer       *Lease    // the best one so far
	wanted      netip.Addr
	unreliable  servers
	refusals    int // NAKs, conflicts and failures in a row, since the last lease in use

	lease  *Granted // granted; in use unless stateChecking
	claim  *claim   // of lease
	router neighbour

	local linkLocal
	// withoutSince is since when DHCP leaves the interface without an address, whatever was tried
	// meanwhile; the zero time: it has one, or no carrier.
	withoutSince time.Time

	silentAt time.Time // when silence becomes an outage, or the zero time
	silent   bool      // an outage was logged and has not ended
}

// Resume takes up a lease that an earlier process left on the interface. It must come before the
// first event.
func (c *Client) Resume(g Granted) {
	c.lease, c.router.hardware = &g, g.Router
	c.state, c.next = stateBound, g.expires()
}

// CarrierChanged is the first event, and comes again whenever the link is plugged or pulled.
func (c *Client) CarrierChanged(now time.Time, up bool) {
	if up == c.carrier {
		return
	}
	c.carrier = up
	if !up {
		c.carrierLost()
		return
	}
	if c.lease != nil && c.state != stateChecking {
		c.reboot(now)
		return
	}
	c.startOver(now, 0)
}

// carrierLost keeps address and routes: the cable may be back in a moment, and until then nothing
// leaves by them. Timers of the lease go on.
func (c *Client) carrierLost() {
	c.Log.Info("no carrier")
	c.local.stop()
	c.claim = nil
	c.silentAt, c.withoutSince = time.Time{}, time.Time{}
	if c.lease == nil || c.state == stateChecking {
		c.lease = nil
		c.deconfigure()
		c.state, c.next = stateInit, time.Time{}
		return
	}
	c.state, c.next = stateBound, c.lease.expires()
}

// Message takes an answer of a server. from is who sent the packet.
func (c *Client) Message(now time.Time, m *dhcpv4.DHCPv4, from netip.Addr) {
	if !c.carrier || transactionOf(m) != c.transaction {
		return
	}
	switch m.MessageType() {
	case dhcpv4.MessageTypeOffer:
		c.offered(now, m)
	case dhcpv4.MessageTypeAck:
		c.acknowledged(now, m)
	case dhcpv4.MessageTypeNak:
		c.refused(now, m, from)
	}
}

// Deadline is when Tick has something to do: the zero time is never.
func (c *Client) Deadline() time.Time {
	return earliest(c.next, c.silentAt, c.claim.deadline(), c.localDeadline())
}

func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Tick does what is due.
func (c *Client) Tick(now time.Time) {
	if isDue(c.silentAt, now) {
		c.silentAt = time.Time{}
		c.sayOutage()
	}
	for c.claim != nil {
		do, due := c.claim.step(now)
		if !due {
			break
		}
		c.stepClaim(now, do)
	}
	c.tickLocal(now)
	if isDue(c.next, now) {
		c.next = time.Time{}
		c.step(now)
	}
}

func isDue(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// step does what the state does when its time has come.
func (c *Client) step(now time.Time) {
	if c.lease != nil && isDue(c.lease.expires(), now) {
		c.expire(now)
		return
	}
	switch c.state {
	case stateInit, stateSelecting:
		c.discover(now)
	case stateRequesting:
		c.requestAgain(now)
	case stateBound:
		c.renew(now)
	case stateRenewing, stateRebinding:
		c.extend(now)
	case stateRebooting:
		c.rebootAgain(now)
	}
}
