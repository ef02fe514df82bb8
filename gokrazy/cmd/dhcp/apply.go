// A configuration into the kernel: one address, its routes, and nothing else on that interface.
// Sources: rtnetlink(7), ip-sysctl of the kernel.

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/gokrazy/cmd/dhcp/client"
)

// errSomeRoutes says that address and at least one route are there and others were refused: a single
// route that the kernel does not take must not cost the address.
var errSomeRoutes = errors.New("some routes are refused")

// applyConfiguration makes c all of IPv4 that the interface has. Old addresses go first: one that
// stayed beside the new one would be used for packets. The error may be errSomeRoutes.
func applyConfiguration(index, metric int, c client.Configuration) error {
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
	present, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	found := false
	for _, a := range present {
		if prefixOf(a.IPNet) == c.Address && a.Flags&unix.IFA_F_NOPREFIXROUTE != 0 {
			found = true
			continue
		}
		if err := netlink.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("remove address %v: %w", a.IPNet, err)
		}
	}
	if c.Address.IsValid() && !found {
		// The kernel's own route to the network would have no metric.
		a := &netlink.Addr{IPNet: netOf(c.Address), Flags: unix.IFA_F_NOPREFIXROUTE}
		if c.Address.Addr().IsLinkLocalUnicast() {
			a.Scope = unix.RT_SCOPE_LINK
		}
		if err := netlink.AddrReplace(link, a); err != nil {
			return fmt.Errorf("add address %v: %w", c.Address, err)
		}
	}
	return applyRoutes(index, newRoutes(index, metric, c))
}

// newRoutes are all that the interface shall have, each after what it needs.
func newRoutes(index, metric int, c client.Configuration) []netlink.Route {
	if !c.Address.IsValid() {
		return nil
	}
	own := net.IP(c.Address.Addr().AsSlice())
	base := netlink.Route{LinkIndex: index, Src: own, Priority: metric, Protocol: unix.RTPROT_DHCP,
		Table: unix.RT_TABLE_MAIN}
	direct := func(p netip.Prefix) netlink.Route {
		r := base
		r.Dst, r.Scope = netOf(p), netlink.SCOPE_LINK
		return r
	}
	var list []netlink.Route
	if c.Address.Bits() < 32 {
		list = append(list, direct(c.Address.Masked()))
	}
	for _, route := range c.Routes {
		if !route.Gateway.IsValid() {
			list = append(list, direct(route.Destination))
			continue
		}
		r := base
		r.Dst, r.Gw = netOf(route.Destination), route.Gateway.AsSlice()
		if route.OnLink {
			r.Flags = int(netlink.FLAG_ONLINK)
		}
		list = append(list, r)
	}
	return list
}

// applyRoutes replaces the interface's routes by list.
func applyRoutes(index int, list []netlink.Route) error {
	filter := &netlink.Route{LinkIndex: index, Table: unix.RT_TABLE_MAIN}
	present, err := netlink.RouteListFiltered(netlink.FAMILY_V4, filter, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range present {
		if !slices.ContainsFunc(list, func(wanted netlink.Route) bool { return sameRoute(r, wanted) }) {
			if err := netlink.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("remove route %v: %w", r.Dst, err)
			}
		}
	}
	var failed []error
	for _, r := range list {
		if err := netlink.RouteReplace(&r); err != nil {
			failed = append(failed, fmt.Errorf("add route %v by %v: %w", prefixOf(r.Dst), r.Gw, err))
		}
	}
	if n := len(failed); n > 0 && n < len(list) {
		return fmt.Errorf("%w: %w", errSomeRoutes, errors.Join(failed...))
	}
	return errors.Join(failed...)
}

func sameRoute(a, b netlink.Route) bool {
	return prefixOf(a.Dst) == prefixOf(b.Dst) && a.Gw.Equal(b.Gw) && a.Priority == b.Priority && a.Src.Equal(b.Src)
}

// prefixOf gives 0.0.0.0/0 for nil, which is how netlink calls the default route at times.
func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	a, _ := netip.AddrFromSlice(n.IP.To4())
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a, bits)
}

func netOf(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// setSwitches sets the kernel's switches of the interface. Some may be missing in a kernel.
func (i *iface) setSwitches() {
	for _, s := range [][2]string{
		// Answer ARP for the addresses of this interface alone: with two in one network, the
		// kernel would answer our own probes from the other.
		{"ipv4/conf/%s/arp_ignore", "1"},
		{"ipv4/conf/%s/arp_announce", "2"},
		// Of two interfaces, the one with a carrier is used, whatever the metrics say. Its routes stay
		// there for the moment when the cable is back.
		{"ipv4/conf/%s/ignore_routes_with_linkdown", "1"},
		{"ipv6/conf/%s/ignore_routes_with_linkdown", "1"},
		{"ipv6/conf/%s/accept_ra", "1"},
		{"ipv6/conf/%s/autoconf", "1"},
	} {
		if err := i.setSwitch(s[0], s[1]); err != nil && !errors.Is(err, os.ErrNotExist) {
			i.log.Warn("switch not set", "error", err)
		}
	}
}

func (i *iface) setSwitch(path, value string) error {
	return os.WriteFile("/proc/sys/net/"+fmt.Sprintf(path, i.name), []byte(value), 0)
}
