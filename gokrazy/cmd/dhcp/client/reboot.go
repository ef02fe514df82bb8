// INIT-REBOOT: the carrier is back, or this program was started anew, and there is a lease. Is this
// still its network? Sources: RFC 2131 section 3.2; RFC 4436 for the question to the router.

package client

import (
	"bytes"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// For 8 * 0.5 s the old address stays while nobody answers. A server of another network answers with
// a NAK within milliseconds, if it knows the network well; if it is silent, 4 s are what an owner may
// wait. The first requests are often lost: a switch passes nothing on for a second after its port
// came up (a Linux bridge: 1.1 s).
const (
	rebootTries = 8
	rebootEvery = 500 * time.Millisecond
)

// A neighbour is the router of our lease as we last heard it.
type neighbour struct {
	hardware   net.HardwareAddr
	here       bool             // it answered since the carrier came back
	remembered net.HardwareAddr // as Port.Remember last had it
	at         time.Time        // of that
}

// reboot asks all servers for the lease that we have, which stays in use meanwhile, and looks by
// ARP whether the address is free here and our router is there.
func (c *Client) reboot(now time.Time) {
	if isDue(c.lease.expires(), now) {
		c.expire(now)
		return
	}
	c.Log.Info("carrier, with a lease: asking for it again", "address", c.lease.Address)
	if err := c.Port.Configure(c.lease.Configuration); err != nil {
		c.Log.Error("interface cannot be configured", "address", c.lease.Address, "error", err)
	}
	c.state, c.pause, c.began, c.sent = stateRebooting, pause{}, now, now
	c.router.here = false
	c.newTransaction()
	c.claim = newUsedClaim(c.lease.Address.Addr(), now, c.Random)
	c.rebootAgain(now)
}

func (c *Client) rebootAgain(now time.Time) {
	if c.pause.tries == rebootTries {
		c.rebootUnanswered(now)
		return
	}
	c.askRouter()
	m := c.newMessage(dhcpv4.MessageTypeRequest, now.Sub(c.began))
	setRequested(m, c.lease.Address.Addr())
	c.broadcast(m)
	c.pause.tries++
	c.next = now.Add(jittered(rebootEvery, c.Random))
}

// rebootUnanswered keeps the lease if our router is here: its DHCP server may still be starting.
// Otherwise this is another network, where the address may be anybody's.
func (c *Client) rebootUnanswered(now time.Time) {
	if c.router.here {
		c.Log.Info("no DHCP server answers, but the router is the same: the lease goes on",
			"address", c.lease.Address)
		c.state = stateBound
		c.next = earliest(now.Add(shortestTimer), c.lease.expires())
		return
	}
	c.Log.Warn("nobody confirms the lease here", "address", c.lease.Address)
	c.wanted = c.lease.Address.Addr()
	c.drop()
	c.startOver(now, 0)
}

func (c *Client) askRouter() {
	if router := c.lease.router(); router.IsValid() {
		c.sendARP(c.lease.Address.Addr(), router)
	}
}

// remember gives the lease to whoever comes after us.
func (c *Client) remember(now time.Time) {
	c.lease.Router = c.router.hardware
	c.router.remembered, c.router.at = c.router.hardware, now
	c.Port.Remember(c.lease)
}

// hearRouter keeps the router's MAC address, and recognises it after the carrier came back. Two
// hosts that both claim to be the router make no more than one file a minute.
func (c *Client) hearRouter(now time.Time, p ARP) {
	if c.lease == nil || p.SenderIP != c.lease.router() || !p.SenderIP.IsValid() {
		return
	}
	switch c.state {
	case stateRebooting:
		c.router.here = c.router.here || bytes.Equal(c.router.hardware, p.Sender)
	case stateBound, stateRenewing, stateRebinding:
		c.router.hardware = p.Sender
		again := c.router.remembered == nil || now.Sub(c.router.at) >= shortestTimer
		if again && !bytes.Equal(p.Sender, c.router.remembered) {
			c.remember(now)
		}
	}
}

// router is the gateway of the default route, or the zero Addr.
func (l *Lease) router() netip.Addr {
	for _, r := range l.Routes {
		if r.Destination.Bits() == 0 {
			return r.Gateway
		}
	}
	return netip.Addr{}
}
