// What a gateway may name as the receiver: the check between a grant and the first packet.

package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Resolver turns a host name into addresses; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// A Policy says where a gateway may send our stream. The zero Policy allows every unicast
// address that is not this machine's.
type Policy struct {
	AllowLoopback bool     // this machine itself may be the receiver
	Allowed       []string // addresses, CIDR ranges, host names as the gateway writes them; empty: all
	Encrypted     bool     // without keys nothing is streamed

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
		local = localPrefixes
	}
	prefixes, err := local()
	if err != nil { // without knowing ourselves we cannot keep away from ourselves
		return fmt.Errorf("our own addresses: %w", err)
	}
	if why := whyForbidden(addr, prefixes); why != "" {
		return fmt.Errorf("%q is %v, %s", host, addr, why)
	}
	if isOurs(addr, prefixes) && !p.AllowLoopback {
		return fmt.Errorf("%q is %v, this machine itself (gateway.allow-loopback would allow it)", host, addr)
	}
	if !p.isAllowed(host, addr) {
		return fmt.Errorf("%q is %v, which is not in gateway.allowed-receivers", host, addr)
	}
	return nil
}

// isAllowed looks for the receiver in the owner's list.
func (p Policy) isAllowed(host string, addr netip.Addr) bool {
	if len(p.Allowed) == 0 {
		return true
	}
	for _, entry := range p.Allowed {
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			if prefix.Contains(addr.WithZone("")) {
				return true
			}
			continue
		}
		if one, err := netip.ParseAddr(entry); err == nil {
			if one.Unmap() == addr {
				return true
			}
			continue
		}
		if strings.EqualFold(strings.TrimSuffix(entry, "."), strings.TrimSuffix(host, ".")) {
			return true
		}
	}
	return false
}

// reserved has what netip has no predicate for (RFC 1122 section 3.2.1.3, RFC 1112
// section 4, RFC 6890).
var reserved = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("240.0.0.0/4")}

// whyForbidden names what no configuration can allow; "" if there is nothing.
func whyForbidden(addr netip.Addr, local []netip.Prefix) string {
	switch {
	case !addr.IsValid() || addr.IsUnspecified():
		return "no address"
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "a broadcast address"
	case addr.IsMulticast():
		return "a multicast address"
	case addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "":
		return "a link-local address that says no interface"
	}
	for _, p := range reserved {
		if p.Contains(addr) {
			return "a reserved address"
		}
	}
	for _, p := range local {
		// A /31 or /32 has no broadcast address (RFC 3021).
		if addr.Is4() && p.Addr().Is4() && p.Bits() < 31 &&
			(addr == lastAddrOf(p) || addr == p.Masked().Addr()) {
			return "a broadcast address of our own network"
		}
	}
	return ""
}

func isOurs(addr netip.Addr, local []netip.Prefix) bool {
	if addr.IsLoopback() {
		return true
	}
	for _, p := range local {
		if p.Addr() == addr.WithZone("") {
			return true
		}
	}
	return false
}

func lastAddrOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

// checkPorts keeps a bad gateway away from system services, whose ports are below 1024.
func checkPorts(rtp, rtcp int) error {
	for _, port := range []int{rtp, rtcp} {
		if port < 1024 || port > 65535 {
			return fmt.Errorf("port %d is outside 1024 to 65535", port)
		}
	}
	if rtp == rtcp {
		return fmt.Errorf("port %d cannot take both RTP and RTCP", rtp)
	}
	return nil
}

// localPrefixes gives this machine's addresses, each with its network's length.
func localPrefixes() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var prefixes []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes, nil
}
