// Whether an address is ours alone: probe, announce, defend.
//
// RFC 5227 wants 3 probes a second or two apart before an address is used: 4 to 7 s, as long as all
// of a board's start. An address of DHCP was looked after by its server, so it is used after three
// quick probes without an answer; the slow ones of the RFC follow while it is in use. A conflict
// then ends the use at once. An address that we chose ourselves (RFC 3927) takes the slow way.

package client

import (
	"net/netip"
	"slices"
	"time"
)

// Constants of RFC 5227 section 1.1 and RFC 3927 section 9, which agree.
const (
	probeWait      = time.Second
	probeMin       = time.Second
	probeMax       = 2 * time.Second
	announceWait   = 2 * time.Second
	announceEvery  = 2 * time.Second
	defendInterval = 10 * time.Second

	// quickProbe is the pause between quick probes: hosts of a LAN answer within 1 ms, ones of a
	// Wi-Fi that wake for it within 100 ms.
	quickProbe = 100 * time.Millisecond
)

type claimStep struct {
	after time.Duration // since the step before
	do    claimAction
}

type claimAction int

const (
	probe claimAction = iota
	use
	announce
)

// A claim watches one address from the first probe on, for as long as we have it.
type claim struct {
	address  netip.Addr
	steps    []claimStep // to come
	next     time.Time   // of the first of them
	defended time.Time   // when we last did
	inUse    bool
}

// newQuickClaim is for an address of DHCP.
func newQuickClaim(a netip.Addr, now time.Time, random func() float64) *claim {
	return newClaim(a, now, slices.Concat([]claimStep{
		{0, probe}, {quickProbe, probe}, {quickProbe, probe}, {quickProbe, use},
	}, slowProbes(random), []claimStep{{announceWait, announce}, {announceEvery, announce}}))
}

// newUsedClaim is for an address that is in use while we look again: the cable may be in another
// network now.
func newUsedClaim(a netip.Addr, now time.Time, random func() float64) *claim {
	c := newClaim(a, now, slices.Concat([]claimStep{
		{0, probe}, {quickProbe, probe}, {quickProbe, probe},
	}, slowProbes(random), []claimStep{{announceWait, announce}, {announceEvery, announce}}))
	c.inUse = true
	return c
}

// newSlowClaim is for an address that nobody gave us.
func newSlowClaim(a netip.Addr, now time.Time, random func() float64) *claim {
	steps := slowProbes(random)
	steps[0].after = time.Duration(random() * float64(probeWait))
	return newClaim(a, now, append(steps,
		claimStep{announceWait, use}, claimStep{0, announce}, claimStep{announceEvery, announce}))
}

func slowProbes(random func() float64) []claimStep {
	steps := make([]claimStep, 3)
	for i := range steps {
		steps[i] = claimStep{probeMin + time.Duration(random()*float64(probeMax-probeMin)), probe}
	}
	return steps
}

func newClaim(a netip.Addr, now time.Time, steps []claimStep) *claim {
	return &claim{address: a, steps: steps, next: now.Add(steps[0].after)}
}

// deadline is when step has something to do, or the zero time.
func (c *claim) deadline() time.Time {
	if c == nil || len(c.steps) == 0 {
		return time.Time{}
	}
	return c.next
}

// step gives what is due now, one thing at a time.
func (c *claim) step(now time.Time) (claimAction, bool) {
	if len(c.steps) == 0 || now.Before(c.next) {
		return 0, false
	}
	due := c.steps[0].do
	c.steps = c.steps[1:]
	if len(c.steps) > 0 {
		c.next = now.Add(c.steps[0].after)
	}
	c.inUse = c.inUse || due == use
	return due, true
}

// A verdict is what an ARP packet means for a claim.
type verdict int

const (
	unconcerned verdict = iota
	defend              // somebody else uses the address too: say that it is ours
	giveUp              // it is somebody else's
)

// judge looks at a packet of another host (RFC 5227 sections 2.1.1 and 2.4, there case b).
func (c *claim) judge(p ARP, now time.Time) verdict {
	probedToo := p.Request && p.SenderIP.IsUnspecified() && p.TargetIP == c.address
	switch {
	case probedToo && !c.inUse:
		return giveUp
	case p.SenderIP != c.address:
		return unconcerned
	case !c.inUse, c.probing(), !c.defended.IsZero() && now.Sub(c.defended) < defendInterval:
		return giveUp
	}
	c.defended = now
	return defend
}

// probing says whether there are probes to come, or the answer to one may be on its way: until the
// first of the two announcements.
func (c *claim) probing() bool { return len(c.steps) > 1 }
