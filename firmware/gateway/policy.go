// What a gateway may name as the receiver: the check between a grant and the first packet.

package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/krazycam/krazycam/firmware/destination"
)

// Resolver turns a host name into addresses; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// A Policy says where a gateway may send our stream. The zero Policy allows every unicast
// address that is not this machine's, nor one of its link alone.
type Policy struct {
	AllowLoopback bool // this machine itself may be the receiver

	// Addresses, CIDR ranges, host names as the gateway writes them. nil: all that is not forbidden;
	// empty: none.
	Allowed []string

	Gateway   string // its host, as the owner wrote it: an address there is one that the owner named
	Encrypted bool   // without keys nothing is streamed

	Resolver Resolver                       // default: the name servers of resolv.conf
	Local    func() ([]netip.Prefix, error) // our addresses and their networks; default: this machine's
}

// lookupTimeout is how long the receiver's name may take.
const lookupTimeout = 10 * time.Second

// ResolveReceiver looks the grant's host up, once, and sets RTP and RTCP to the first of its
// addresses that is allowed. Errors: ErrDestination, or the resolver's.
func (p Policy) ResolveReceiver(ctx context.Context, g Grant) (Grant, error) {
	if err := checkPorts(g.RTPPort, g.RTCPPort); err != nil {
		return Grant{}, fmt.Errorf("%w: %w", ErrDestination, err)
	}
	addrs, err := p.lookUpHost(ctx, g.Host)
	if err != nil {
		return Grant{}, fmt.Errorf("gateway: receiver %q: %w", g.Host, err)
	}
	refused := fmt.Errorf("%w: %q has no address", ErrDestination, g.Host)
	for _, addr := range addrs {
		addr = addr.Unmap() // ::ffff:127.0.0.1 is 127.0.0.1
		if !addr.IsLinkLocalUnicast() {
			addr = addr.WithZone("") // where it means nothing, it must not hide anything
		}
		if err := p.checkAddr(g.Host, addr); err != nil {
			refused = fmt.Errorf("%w: %w", ErrDestination, err)
			continue
		}
		g.RTP = netip.AddrPortFrom(addr, uint16(g.RTPPort))
		g.RTCP = netip.AddrPortFrom(addr, uint16(g.RTCPPort))
		return g, nil
	}
	return Grant{}, refused
}

func (p Policy) lookUpHost(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	resolver := p.Resolver
	if resolver == nil {
		resolver = newNameServers(resolvConf)
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return resolver.LookupNetIP(ctx, "ip", host)
}

// checkAddr says why addr, to which host resolved, is forbidden; nil if it is not.
func (p Policy) checkAddr(host string, addr netip.Addr) error {
	local := p.Local
	if local == nil {
		local = destination.Local
	}
	prefixes, err := local()
	if err != nil { // without knowing ourselves we cannot keep away from ourselves
		return err
	}
	bare := addr.WithZone("")
	d := destination.FindDanger(bare, prefixes)
	if d.What != "" && !p.isNamed(bare, d.EntryBits) {
		hint := ""
		if d.EntryBits != 0 {
			hint = " (an entry for it alone in gateway.allowed-receivers would allow it)"
		}
		return fmt.Errorf("%q is %v, %s%s", host, addr, d.What, hint)
	}
	if addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "" {
		return fmt.Errorf("%q is %v, a link-local address that says no interface", host, addr)
	}
	if destination.IsOurs(bare, prefixes) && !p.AllowLoopback {
		return fmt.Errorf("%q is %v, this machine itself (gateway.allow-loopback would allow it)", host, addr)
	}
	return p.checkAllowed(host, addr)
}

// checkAllowed looks for the receiver in the owner's list.
func (p Policy) checkAllowed(host string, addr netip.Addr) error {
	switch {
	case p.Allowed == nil:
		return nil
	case len(p.Allowed) == 0:
		return fmt.Errorf("%q is %v, and gateway.allowed-receivers is empty, which allows nobody", host, addr)
	}
	sameName := func(entry string) bool {
		return strings.EqualFold(strings.TrimSuffix(entry, "."), strings.TrimSuffix(host, "."))
	}
	for _, entry := range p.Allowed {
		if addrs, ok := parseEntry(entry); ok && addrs.Contains(addr.WithZone("")) || !ok && sameName(entry) {
			return nil
		}
	}
	return fmt.Errorf("%q is %v, which is not in gateway.allowed-receivers", host, addr)
}

// isNamed says whether the owner wrote addr down: as the gateway's own address, or as an entry of
// the list that is about nothing else, with at least so many bits; 0: no entry will do.
func (p Policy) isNamed(addr netip.Addr, entryBits int) bool {
	if entryBits == 0 {
		return false
	}
	for _, entry := range p.Allowed {
		addrs, ok := parseEntry(entry)
		if ok && addrs.Bits() >= entryBits && addrs.Contains(addr) {
			return true
		}
	}
	named, err := netip.ParseAddr(p.Gateway)
	return err == nil && named.Unmap().WithZone("") == addr
}

// parseEntry reads an entry of the owner's list as a range; not ok: it is a host name. A range of
// IPv4 addresses may be written as one of IPv6.
func parseEntry(entry string) (addrs netip.Prefix, ok bool) {
	if addr, err := netip.ParseAddr(entry); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	addrs, err := netip.ParsePrefix(entry)
	if err != nil {
		return addrs, false
	}
	if mapped := addrs.Addr(); mapped.Is4In6() && addrs.Bits() >= 96 {
		addrs = netip.PrefixFrom(mapped.Unmap(), addrs.Bits()-96)
	}
	return addrs.Masked(), true
}

// checkPorts keeps a bad gateway away from system services, whose ports are below 1024. One port
// may take both (RFC 5761).
func checkPorts(rtp, rtcp int) error {
	for _, port := range []int{rtp, rtcp} {
		if port < 1024 || port > 65535 {
			return fmt.Errorf("port %d is outside 1024 to 65535", port)
		}
	}
	return nil
}
