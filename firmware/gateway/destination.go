// What a gateway may name: the check between a grant and the first packet.

package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A Grant is a yes to start_stream.
type Grant struct {
	Utilization       wire.ID
	Host              string // as the gateway wrote it, for messages only
	RTPPort, RTCPPort int    // likewise
	KeepAlive         time.Duration
	SSRC              uint32     // for this session alone
	SRTP              *wire.SRTP // nil: the stream goes in the clear
	Agreed            Agreed

	// RTP and RTCP are where packets may go: resolved once and checked by a
	// Policy. Nothing may resolve Host again, or a bad name server could move
	// the stream after the check.
	RTP, RTCP netip.AddrPort
}

// Bounds of the lease's period.
const (
	minKeepAlive = 5 * time.Second
	maxKeepAlive = 600 * time.Second
)

func keepAlive(n wire.OptionalInt) time.Duration {
	if !n.Said {
		return wire.DefaultKeepAlive
	}
	return min(max(time.Duration(n.N)*time.Second, minKeepAlive), maxKeepAlive)
}

// Resolver turns a host name into addresses; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// A Policy says where a gateway may send our stream. The zero Policy allows every
// unicast address that is not this machine's.
type Policy struct {
	AllowLoopback bool     // this machine itself may be the receiver
	Allowed       []string // addresses, CIDR ranges, host names as the gateway writes them; empty: all
	Encrypted     bool     // without keys nothing is streamed

	Resolver Resolver                       // default: the name servers of resolv.conf
	Local    func() ([]netip.Prefix, error) // our addresses and their networks; default LocalPrefixes
}

// Destination resolves the grant's host, once, and fills RTP and RTCP with the
// first of its addresses that is allowed. Errors: ErrDestination, or the resolver's.
func (p Policy) Destination(ctx context.Context, g Grant) (Grant, error) {
	if err := checkPorts(g.RTPPort, g.RTCPPort); err != nil {
		return Grant{}, fmt.Errorf("%w: %w", ErrDestination, err)
	}
	addrs, err := p.resolve(ctx, g.Host)
	if err != nil {
		return Grant{}, fmt.Errorf("gateway: receiver %q: %w", g.Host, err)
	}
	refused := fmt.Errorf("%w: %q has no address", ErrDestination, g.Host)
	for _, addr := range addrs {
		addr = addr.Unmap() // ::ffff:127.0.0.1 is 127.0.0.1
		if err := p.check(g.Host, addr); err != nil {
			refused = fmt.Errorf("%w: %w", ErrDestination, err)
			continue
		}
		g.RTP = netip.AddrPortFrom(addr, uint16(g.RTPPort))
		g.RTCP = netip.AddrPortFrom(addr, uint16(g.RTCPPort))
		return g, nil
	}
	return Grant{}, refused
}

func (p Policy) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	resolver := p.Resolver
	if resolver == nil {
		resolver = newNameServers(resolvConf)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return resolver.LookupNetIP(ctx, "ip", host)
}

// check says why addr, which host resolved to, is forbidden; nil if it is not.
func (p Policy) check(host string, addr netip.Addr) error {
	local := p.Local
	if local == nil {
		local = LocalPrefixes
	}
	prefixes, err := local()
	if err != nil { // without knowing ourselves we cannot keep away from ourselves
		return fmt.Errorf("our own addresses: %w", err)
	}
	if why := forbidden(addr, prefixes); why != "" {
		return fmt.Errorf("%q is %v, %s", host, addr, why)
	}
	if ours(addr, prefixes) && !p.AllowLoopback {
		return fmt.Errorf("%q is %v, this machine itself (gateway.allow-loopback would allow it)", host, addr)
	}
	if !p.listed(host, addr) {
		return fmt.Errorf("%q is %v, which is not in gateway.allowed-receivers", host, addr)
	}
	return nil
}

// reserved has what netip has no predicate for (RFC 1122 section 3.2.1.3, RFC 1112 section 4, RFC 6890).
var reserved = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("240.0.0.0/4")}

// forbidden names what no configuration can allow.
func forbidden(addr netip.Addr, local []netip.Prefix) string {
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
		if addr.Is4() && p.Addr().Is4() && p.Bits() < 31 && (addr == lastOf(p) || addr == p.Masked().Addr()) {
			return "a broadcast address of our own network"
		}
	}
	return ""
}

func ours(addr netip.Addr, local []netip.Prefix) bool {
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

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

func (p Policy) listed(host string, addr netip.Addr) bool {
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

// LocalPrefixes gives this machine's addresses, each with its network's length.
func LocalPrefixes() ([]netip.Prefix, error) {
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

// receiverHost takes a host name, an address, either with a port, or a URL whose
// host is meant, and gives the host alone.
func receiverHost(s string) (string, error) {
	s = strings.TrimSpace(s)
	host := s
	switch {
	case isAddr(s): // before all else: a bare IPv6 address is full of colons
	case strings.Contains(s, "//"):
		u, err := url.Parse(s)
		if err != nil {
			return "", fmt.Errorf("url %.60q: cannot be read", wire.Printable(s))
		}
		host = u.Hostname()
	case strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]"):
		host = s[1 : len(s)-1]
	default:
		host, _, _ = strings.Cut(s, "/")
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
	}
	if !isAddr(host) && !isName(host) {
		return "", fmt.Errorf("url %.60q names no host", wire.Printable(s))
	}
	return host, nil
}

func isAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// isName keeps what goes to a resolver to what a host name can hold.
func isName(s string) bool {
	return s != "" && len(s) <= 253 && s[0] != '-' && s[0] != '.' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == ""
}
