// From a grant to its end: check, BOUND, RENEWING, REBINDING, expiry, conflicts.
// Source: RFC 2131 sections 4.4.1 (last paragraphs) and 4.4.5.

package client

import (
	"net"
	"net/netip"
	"reflect"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	// longestRetry keeps a lease of years from a silence of months.
	longestRetry = 24 * time.Hour
	// endlessRenewals is how many times a lease without end, and so without T2, is asked of its own
	// server before all servers are.
	endlessRenewals = 4
)

// granted takes a lease into use: at once if the address is ours already, else after the quick
// probes.
func (c *Client) granted(now time.Time, l Lease) {
	known := c.lease != nil && c.lease.Address.Addr() == l.Address.Addr()
	before := c.lease
	c.lease = &Granted{Lease: l, Since: c.sent}
	if before != nil && before.router() != l.router() {
		c.router = neighbour{}
	}
	c.offer = nil
	if known {
		switch {
		case !reflect.DeepEqual(before.Configuration, l.Configuration):
			c.logLease()
		case c.state == stateRebooting:
			c.Log.Info("the lease is good here", "address", l.Address, "server", l.Server)
		}
		c.bind(now)
		return
	}
	if before != nil {
		c.deconfigure() // the server gave another address: the old one is no longer ours
	}
	c.state, c.next = stateChecking, time.Time{}
	c.claim = newQuickClaim(l.Address.Addr(), now, c.Random)
}

func (c *Client) logLease() {
	l := c.lease
	lasts := "for ever"
	if l.Duration != Forever {
		lasts = l.Duration.String()
	}
	c.Log.Info("address by DHCP", "address", l.Address, "router", l.router(), "nameServers", l.NameServers,
		"timeServers", l.TimeServers, "server", l.Server, "lease", lasts)
}

// bind puts c.lease onto the interface, also where it is there already: something may have been
// taken away, as the kernel does with routes when a link is set down.
func (c *Client) bind(now time.Time) {
	c.local.stop()
	c.silentAt = time.Time{}
	c.state, c.next = stateBound, later(c.lease.Since, c.lease.Renew)
	c.remember(now) // first: whoever notices the new address looks there for its servers
	if err := c.Port.Configure(c.lease.Configuration); err != nil {
		c.Log.Error("interface cannot be configured", "address", c.lease.Address, "error", err)
		c.drop()
		c.startOver(now, max(declinePause, c.refusalPause()))
		return
	}
	c.withoutSince = time.Time{}
	c.wanted = c.lease.Address.Addr()
	if c.router.hardware == nil {
		c.askRouter() // for its MAC address, by which it is recognised later
	}
}

// stepClaim does what the claim of the lease's address says.
func (c *Client) stepClaim(now time.Time, do claimAction) {
	switch do {
	case probe:
		c.sendARP(netip.IPv4Unspecified(), c.claim.address)
	case announce:
		c.sendARP(c.claim.address, c.claim.address)
	case use:
		c.logLease()
		c.bind(now)
	}
	if c.claim == nil {
		return // the interface did not take the address
	}
	if len(c.claim.steps) == 0 { // nobody else had it for as long as the RFC looks
		c.refusals, c.unreliable = 0, nil
	}
}

func (c *Client) sendARP(from, target netip.Addr) {
	c.Port.SendARP(ARP{Request: true, Sender: c.Hardware, SenderIP: from, TargetIP: target})
}

// ARP takes each packet that another host sent.
func (c *Client) ARP(now time.Time, p ARP) {
	if !c.carrier || reflect.DeepEqual(p.Sender, c.Hardware) {
		return
	}
	c.hearRouter(now, p)
	c.local.hear(c, now, p)
	if c.claim == nil {
		return
	}
	switch c.claim.judge(p, now) {
	case defend:
		c.Log.Warn("another host uses our address; we keep it", "address", c.claim.address, "host", p.Sender)
		c.sendARP(c.claim.address, c.claim.address)
	case giveUp:
		c.conflict(now, p.Sender)
	}
}

// conflict gives the address up, and says so to the server that granted it here.
func (c *Client) conflict(now time.Time, host net.HardwareAddr) {
	l := c.lease
	c.Log.Warn("address is another host's", "address", l.Address.Addr(), "host", host)
	elsewhere := c.state == stateRebooting // no server of this network granted it
	c.wanted = netip.Addr{}
	c.drop()
	if elsewhere {
		c.startOver(now, c.refusalPause())
		return
	}
	c.newTransaction()
	m := c.newMessage(dhcpv4.MessageTypeDecline, 0)
	setRequested(m, l.Address.Addr())
	setServer(m, l.Server)
	c.broadcast(m)
	c.unreliable.add(l.Server)
	c.startOver(now, max(declinePause, c.refusalPause()))
}

// drop takes the lease off the interface, at once. One that is still being checked is not there
// yet, and a link-local address stays.
func (c *Client) drop() {
	if c.lease == nil {
		return
	}
	c.lease, c.claim = nil, nil
	if c.state != stateChecking {
		c.deconfigure()
	}
}

// deconfigure takes away whatever the interface has.
func (c *Client) deconfigure() {
	c.router = neighbour{}
	c.local.stop()
	if err := c.Port.Configure(Configuration{}); err != nil {
		c.Log.Error("interface keeps an address that is not ours", "error", err)
	}
	c.Port.Remember(nil)
}

// renew begins RENEWING at T1.
func (c *Client) renew(now time.Time) {
	if !c.carrier {
		c.next = c.lease.expires()
		return
	}
	c.state, c.began = stateRenewing, now
	c.pause = pause{}
	c.newTransaction()
	c.extend(now)
}

// extend sends what RENEWING and REBINDING send, and changes from the one to the other at T2.
func (c *Client) extend(now time.Time) {
	endless := c.lease.Duration == Forever
	rebindAt := later(c.lease.Since, c.lease.Rebind)
	if c.state == stateRenewing && (isDue(rebindAt, now) || endless && c.pause.tries == endlessRenewals) {
		c.state = stateRebinding
	}
	if c.pause.tries++; c.pause.tries > 1 {
		c.sayOutage()
	}
	c.sent = now
	m := c.newMessage(dhcpv4.MessageTypeRequest, now.Sub(c.began))
	m.ClientIPAddr = c.lease.Address.Addr().AsSlice()
	ends := c.lease.expires()
	if c.state == stateRenewing {
		ends = rebindAt
		c.Port.Send(m, c.lease.Address.Addr(), c.lease.Server)
	} else {
		c.broadcast(m)
	}
	c.next = earliest(now.Add(c.retryPause(now, ends)), ends)
}

// retryPause is half of what is left until ends, a minute at least (RFC 2131 section 4.4.5). Where
// there is no end it doubles.
func (c *Client) retryPause(now, ends time.Time) time.Duration {
	wait := ends.Sub(now) / 2
	if ends.IsZero() {
		wait = longestRetry
		if doublings := c.pause.tries - 1; doublings < 11 { // 2^11 minutes are above a day
			wait = shortestTimer << doublings
		}
	}
	return min(max(wait, shortestTimer), longestRetry)
}

// expire ends a lease that nobody renewed: packets must not leave from its address any more.
func (c *Client) expire(now time.Time) {
	c.Log.Warn("lease expired", "address", c.lease.Address, "server", c.lease.Server)
	c.drop()
	if c.carrier {
		c.startOver(now, 0)
		return
	}
	c.state, c.next = stateInit, time.Time{}
}

func (c *Client) sayOutage() {
	if !c.silent {
		c.Log.Warn("no DHCP server answers", "address", c.presentAddress())
	}
	c.silent = true
}

// answered ends an outage.
func (c *Client) answered(server netip.Addr) {
	if c.silent {
		c.Log.Info("DHCP server answers again", "server", server)
	}
	c.silentAt, c.silent = time.Time{}, false
}
