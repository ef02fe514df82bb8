// What a DHCPACK or DHCPOFFER gives, checked. Sources: RFC 2131 section 4.3.1, RFC 2132, RFC 3442.

package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	// Forever is the duration of a lease without an end.
	Forever = time.Duration(math.MaxInt64)
	// shortestLease replaces a lease of 0, and none. Nobody can use an address for no time: such a
	// server is taken to have no opinion.
	shortestLease = time.Minute
	// shortestTimer is the least time between a lease and its renewal, unless half of the lease is
	// less: the least pause of RFC 2131 section 4.4.5.
	shortestTimer = time.Minute
	// leastLease: one of 5 s would be renewed every 2.5 s.
	leastLease = 20 * time.Second

	maxServers = 4  // of a kind, out of one message
	maxRoutes  = 32 // likewise
	// shortestPrefix: a longer reach than a former class A network is nobody's link.
	shortestPrefix = 8
	// defaultPrefix is for a server that gives no mask (option 1).
	defaultPrefix = 24
)

// A Route leads to Destination by way of Gateway, or directly if that is the zero Addr.
type Route struct {
	Destination netip.Prefix `json:"destination"`
	Gateway     netip.Addr   `json:"gateway"`
	// OnLink says that the gateway is reached directly, although its address is not in our network.
	OnLink bool `json:"onLink,omitempty"`
}

// A Configuration is all of IPv4 that an interface has. The zero value is none.
type Configuration struct {
	Address     netip.Prefix `json:"address"` // our own, with the length of the network's prefix
	Routes      []Route      `json:"routes,omitempty"`
	NameServers []netip.Addr `json:"nameServers,omitempty"`
	TimeServers []netip.Addr `json:"timeServers,omitempty"`
	Domain      string       `json:"domain,omitempty"`
}

// A Lease is what one server granted.
type Lease struct {
	Configuration
	Server   netip.Addr    `json:"server"`
	Duration time.Duration `json:"duration"` // Forever: no end
	Renew    time.Duration `json:"renew"`    // T1, since the request
	Rebind   time.Duration `json:"rebind"`   // T2, since the request
}

var errUnusable = errors.New("unusable")

// parseLease takes what we use out of an offer or an acknowledgement. It refuses a message whose
// address or mask no host can have, and leaves out single routes and servers that nobody can be.
func parseLease(m *dhcpv4.DHCPv4) (Lease, error) {
	address, _ := netip.AddrFromSlice(m.YourIPAddr)
	length, err := prefixLength(m.Options.Get(dhcpv4.OptionSubnetMask))
	if err != nil {
		return Lease{}, err
	}
	l := Lease{Server: firstAddress(m.Options.Get(dhcpv4.OptionServerIdentifier))}
	l.Address = netip.PrefixFrom(address, length)
	if !isHost(l.Address) {
		return Lease{}, fmt.Errorf("address %v: %w", l.Address, errUnusable)
	}
	l.Routes = parseRoutes(m.Options, l.Address)
	l.NameServers = parseServers(m.Options.Get(dhcpv4.OptionDomainNameServer))
	l.TimeServers = parseServers(m.Options.Get(dhcpv4.OptionNTPServers))
	l.Domain = parseDomain(m.Options.Get(dhcpv4.OptionDomainName))
	l.setTimes(
		seconds(m.Options.Get(dhcpv4.OptionIPAddressLeaseTime)),
		seconds(m.Options.Get(dhcpv4.OptionRenewTimeValue)),
		seconds(m.Options.Get(dhcpv4.OptionRebindingTimeValue)))
	return l, nil
}

// prefixLength reads a mask. Without one it is defaultPrefix.
func prefixLength(mask []byte) (int, error) {
	if len(mask) == 0 {
		return defaultPrefix, nil
	}
	if len(mask) == 4 {
		bits := binary.BigEndian.Uint32(mask)
		for length := shortestPrefix; length <= 32; length++ {
			if bits == ^uint32(0)<<(32-length) {
				return length, nil
			}
		}
	}
	return 0, fmt.Errorf("mask %x: %w", mask[:min(len(mask), 8)], errUnusable)
}

// isHost says whether a host can have this address in this network.
func isHost(p netip.Prefix) bool {
	if !isUnicast(p.Addr()) || p.Addr().IsLinkLocalUnicast() {
		return false
	}
	if p.Bits() >= 31 {
		return true // RFC 3021: no network's and no broadcast address
	}
	return p.Addr() != p.Masked().Addr() && p.Addr() != lastAddress(p)
}

// isUnicast says whether packets to a are for one host other than us.
func isUnicast(a netip.Addr) bool {
	if !a.Is4() || a.IsMulticast() || a.IsLoopback() {
		return false
	}
	first := a.As4()[0]
	return first != 0 && first < 240 // 0.0.0.0/8 is this network, 240.0.0.0/4 reserved or broadcast
}

// lastAddress is the network's broadcast address.
func lastAddress(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	bits := binary.BigEndian.Uint32(b[:]) | ^uint32(0)>>p.Bits()
	binary.BigEndian.PutUint32(b[:], bits)
	return netip.AddrFrom4(b)
}

// parseServers takes the first maxServers addresses, each once.
func parseServers(b []byte) []netip.Addr {
	var list []netip.Addr
	for a := range addresses(b) {
		if isUnicast(a) && !slices.Contains(list, a) && len(list) < maxServers {
			list = append(list, a)
		}
	}
	return list
}

// addresses yields the addresses of an option; a rest of less than four bytes is left out.
func addresses(b []byte) func(yield func(netip.Addr) bool) {
	return func(yield func(netip.Addr) bool) {
		for ; len(b) >= 4; b = b[4:] {
			if !yield(netip.AddrFrom4([4]byte(b))) {
				return
			}
		}
	}
}

// firstAddress is the zero Addr unless the option is one address or more and that is a host's.
func firstAddress(b []byte) netip.Addr {
	for a := range addresses(b) {
		if isUnicast(a) {
			return a
		}
		break
	}
	return netip.Addr{}
}

// parseDomain gives a name that resolv.conf can hold, or none.
func parseDomain(b []byte) string {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	if len(b) > 253 {
		return ""
	}
	for _, c := range b {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '.' && c != '_' {
			return ""
		}
	}
	return string(b)
}

// seconds reads a time option: 0 if there is none.
func seconds(b []byte) time.Duration {
	if len(b) != 4 {
		return 0
	}
	if n := binary.BigEndian.Uint32(b); n != math.MaxUint32 {
		return time.Duration(n) * time.Second
	}
	return Forever
}

// setTimes keeps 0 < T1 < T2 < lease whatever a server says (RFC 2131 section 4.4.5: half of the
// lease and seven eighths of it, unless given).
func (l *Lease) setTimes(lease, renew, rebind time.Duration) {
	switch {
	case lease == Forever:
		l.Duration, l.Renew, l.Rebind = Forever, Forever, Forever
		return
	case lease == 0:
		lease = shortestLease
	}
	l.Duration = max(lease, leastLease)
	if renew == 0 || renew >= l.Duration {
		renew = l.Duration / 2
	}
	l.Renew = max(renew, min(shortestTimer, l.Duration/2))
	if rebind <= l.Renew || rebind >= l.Duration {
		rebind = l.Renew + (l.Duration-l.Renew)/4*3
	}
	l.Rebind = rebind
}
