// An address of our own choice while no server grants one: a cable to a laptop suffices then. DHCP is
// asked on, and its lease takes this address's place. Source: RFC 3927.

package client

import (
	"hash/fnv"
	"net"
	"net/netip"
	"time"
)

const (
	// maxConflicts and rateLimit are of RFC 3927 section 9: after ten conflicts, one try a minute.
	maxConflicts = 10
	rateLimit    = time.Minute
	// localPrefix is 169.254.0.0/16.
	localPrefix = 16
)

type linkLocal struct {
	claim     *claim
	choice    int       // which of the board's addresses
	conflicts int       // in a row
	retry     time.Time // when the next address is tried, after too many conflicts or a refusal
	refused   bool      // the kernel did not take it, which was logged
}

// localDeadline is when tickLocal has something to do, or the zero time.
func (c *Client) localDeadline() time.Time {
	if !c.local.active() && !c.withoutSince.IsZero() {
		return c.withoutSince.Add(silenceBegins)
	}
	return earliest(c.local.claim.deadline(), c.local.retry)
}

// active says whether an address is claimed, or will be.
func (l *linkLocal) active() bool { return l.claim != nil || !l.retry.IsZero() }

// stop forgets the address; whoever configures the interface next takes it away.
func (l *linkLocal) stop() { l.claim, l.retry = nil, time.Time{} }

func (l *linkLocal) start(c *Client, now time.Time) {
	l.claim = newSlowClaim(localAddress(c.Hardware, l.choice), now, c.Random)
}

// localAddress is the same for a board at each start, another after each conflict, and never in
// the first or last 256 (RFC 3927 section 2.1).
func localAddress(hardware net.HardwareAddr, choice int) netip.Addr {
	h := fnv.New32a()
	h.Write(hardware)
	h.Write([]byte{byte(choice)})
	n := h.Sum32() % (254 * 256)
	return netip.AddrFrom4([4]byte{169, 254, byte(1 + n/256), byte(n)})
}

func (c *Client) tickLocal(now time.Time) {
	if !c.local.active() && isDue(c.localDeadline(), now) {
		c.local.start(c, now)
	}
	if isDue(c.local.retry, now) {
		c.local.retry = time.Time{}
		c.local.start(c, now)
	}
	for c.local.claim != nil {
		do, due := c.local.claim.step(now)
		if !due {
			return
		}
		address := c.local.claim.address
		switch do {
		case probe:
			c.sendARP(netip.IPv4Unspecified(), address)
		case announce:
			c.sendARP(address, address)
		case use:
			c.useLocal(now, address)
		}
		if l := &c.local; l.claim != nil && len(l.claim.steps) == 0 { // it is ours alone
			l.conflicts = 0
		}
	}
}

// useLocal puts the address onto the interface. One that is refused is tried again.
func (c *Client) useLocal(now time.Time, address netip.Addr) {
	p := netip.PrefixFrom(address, localPrefix)
	if err := c.Port.Configure(Configuration{Address: p}); err != nil {
		if !c.local.refused {
			c.Log.Error("interface cannot be configured", "address", p, "error", err)
		}
		c.local.stop()
		c.local.refused, c.local.retry = true, now.Add(rateLimit)
		return
	}
	c.local.refused = false
	c.Log.Info("link-local address, until a DHCP server grants one", "address", p)
}

// hear looks for conflicts about the chosen address.
func (l *linkLocal) hear(c *Client, now time.Time, p ARP) {
	if l.claim == nil {
		return
	}
	switch l.claim.judge(p, now) {
	case defend:
		c.sendARP(l.claim.address, l.claim.address)
	case giveUp:
		if l.claim.inUse {
			c.Log.Warn("link-local address is another host's", "address", l.claim.address, "host", p.Sender)
			c.deconfigure()
		}
		l.stop()
		l.choice++
		l.conflicts++
		if l.conflicts < maxConflicts {
			l.start(c, now)
			return
		}
		l.retry = now.Add(rateLimit)
	}
}
