// The routes of options 3 (router) and 121 (classless static routes, RFC 3442).

package client

import (
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// parseRoutes gives the routes of a lease of own. Option 121 stands above option 3, as RFC 3442
// demands; one that cannot be read counts as none.
func parseRoutes(options dhcpv4.Options, own netip.Prefix) []Route {
	if routes := parseClassless(options.Get(dhcpv4.OptionClasslessStaticRoute), own); len(routes) > 0 {
		return routes
	}
	for router := range addresses(options.Get(dhcpv4.OptionRouter)) {
		if isUnicast(router) && router != own.Addr() {
			all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
			return []Route{{Destination: all, Gateway: router, OnLink: !own.Contains(router)}}
		}
	}
	return nil
}

// parseClassless reads option 121: length of the prefix, as many bytes of it as count, router.
// Routes without a router (0.0.0.0) come first, for others may need them.
func parseClassless(b []byte, own netip.Prefix) []Route {
	var direct, others []Route
	for len(b) > 0 {
		length := int(b[0])
		significant := (length + 7) / 8
		if length > 32 || len(b) < 1+significant+4 {
			return nil
		}
		var destination [4]byte
		copy(destination[:], b[1:1+significant])
		router := netip.AddrFrom4([4]byte(b[1+significant:]))
		b = b[1+significant+4:]
		r := Route{Destination: netip.PrefixFrom(netip.AddrFrom4(destination), length).Masked()}
		switch {
		case len(direct)+len(others) == maxRoutes:
			return slices.Concat(direct, others)
		case !isDestination(r.Destination), hasDestination(direct, r), hasDestination(others, r):
		case router.IsUnspecified():
			direct = append(direct, r)
		case isUnicast(router) && router != own.Addr():
			r.Gateway, r.OnLink = router, !own.Contains(router)
			others = append(others, r)
		}
	}
	return slices.Concat(direct, others)
}

// isDestination says whether a route may lead there: everywhere, or to hosts.
func isDestination(p netip.Prefix) bool {
	return p.Bits() == 0 || isUnicast(p.Addr()) || p.Addr().IsUnspecified()
}

func hasDestination(list []Route, r Route) bool {
	return slices.ContainsFunc(list, func(other Route) bool { return other.Destination == r.Destination })
}
