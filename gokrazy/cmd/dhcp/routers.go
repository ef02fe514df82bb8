// Name servers in router advertisements (option RDNSS). The kernel takes addresses and routes out
// of an advertisement, and passes this option on. Sources: RFC 8106 section 5.1, RFC 4861 section
// 4.1, linux/rtnetlink.h (struct nduseroptmsg).

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	groupUserOptions   = 20 // RTNLGRP_ND_USEROPT
	messageUserOption  = 68 // RTM_NEWNDUSEROPT
	userOptionHeader   = 16
	optionRDNSS        = 25
	advertisement      = 134 // ICMPv6
	maxRouterServers   = 4   // out of one message
	longestServerLease = 7 * 24 * time.Hour
)

// An rdnss is what one option says.
type rdnss struct {
	index    int // of the interface
	servers  []netip.Addr
	lifetime time.Duration // 0: they are no more
}

// watchRouters passes on what the kernel hears, until ctx ends.
func watchRouters(ctx context.Context, servers *nameServers) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	f := os.NewFile(uintptr(fd), "netlink")
	all := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (groupUserOptions - 1)}
	if err := unix.Bind(fd, all); err != nil {
		f.Close()
		return fmt.Errorf("netlink: %w", err)
	}
	context.AfterFunc(ctx, func() { f.Close() })
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, err := f.Read(b)
			if ctx.Err() != nil {
				return
			}
			if err != nil { // ENOBUFS: some were lost; routers repeat them
				time.Sleep(time.Millisecond)
				continue
			}
			for _, r := range parseUserOptions(b[:n]) {
				servers.fromRouter(r)
			}
		}
	}()
	return nil
}

// parseUserOptions reads the kernel's messages; what is no RDNSS is left out.
func parseUserOptions(b []byte) []rdnss {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return nil
	}
	var all []rdnss
	for _, m := range messages {
		d := m.Data
		if m.Header.Type != messageUserOption || len(d) < userOptionHeader ||
			d[0] != unix.AF_INET6 || d[8] != advertisement {
			continue
		}
		index := int(int32(binary.NativeEndian.Uint32(d[4:])))
		length := int(binary.NativeEndian.Uint16(d[2:]))
		if options := d[userOptionHeader:]; length <= len(options) {
			all = append(all, parseRDNSS(index, options[:length])...)
		}
	}
	return all
}

// parseRDNSS reads options of neighbour discovery: type, length in units of 8 bytes.
func parseRDNSS(index int, b []byte) []rdnss {
	var all []rdnss
	for len(b) >= 8 && b[1] > 0 && len(b) >= int(b[1])*8 {
		option := b[:int(b[1])*8]
		b = b[len(option):]
		if option[0] != optionRDNSS || len(option) < 24 {
			continue
		}
		seconds := time.Duration(binary.BigEndian.Uint32(option[4:])) * time.Second
		r := rdnss{index: index, lifetime: min(seconds, longestServerLease)}
		for rest := option[8:]; len(rest) >= 16 && len(r.servers) < maxRouterServers; rest = rest[16:] {
			a := netip.AddrFrom16([16]byte(rest))
			if isNameServer(a) && !slices.Contains(r.servers, a) {
				r.servers = append(r.servers, a)
			}
		}
		if len(r.servers) > 0 {
			all = append(all, r)
		}
	}
	return all
}

func isNameServer(a netip.Addr) bool {
	return !a.Is4In6() && (a.IsGlobalUnicast() || a.IsLinkLocalUnicast())
}

// A solicitor asks routers for an advertisement: the kernel asked when the link came up, which may
// have been before anybody listened for options.
type solicitor struct {
	next   time.Time // the zero time: not at all
	left   int
	lostAt time.Time
}

// RFC 4861 section 10: MAX_RTR_SOLICITATIONS, RTR_SOLICITATION_INTERVAL.
const (
	solicitations    = 3
	solicitEvery     = 4 * time.Second
	firstSolicit     = 2 * time.Second // the link-local address is being looked after for 1 s
	solicitation     = 133
	solicitationSize = 8
)

func (s *solicitor) carrierChanged(i *iface, now time.Time, up bool) {
	if !up {
		s.next, s.lostAt = time.Time{}, now
		return
	}
	if !s.lostAt.IsZero() && now.Sub(s.lostAt) >= moved {
		i.restartIPv6()
	}
	s.lostAt = time.Time{}
	s.next, s.left = now.Add(firstSolicit), solicitations
}

func (s *solicitor) tick(i *iface, now time.Time) {
	if s.next.IsZero() || now.Before(s.next) {
		return
	}
	s.left--
	s.next = now.Add(solicitEvery)
	if s.left == 0 || i.servers.hasRouter(i.name) {
		s.next = time.Time{}
		if s.left > 0 {
			return
		}
	}
	i.solicit()
}

// solicit sends a router solicitation. It may fail, as without IPv6, and is not missed then.
func (i *iface) solicit() {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMPV6)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255) != nil {
		return // routers drop what does not have 255
	}
	to := &unix.SockaddrInet6{ZoneId: uint32(i.index), Addr: netip.MustParseAddr("ff02::2").As16()}
	b := make([]byte, solicitationSize) // the kernel writes the checksum
	b[0] = solicitation
	if err := unix.Sendto(fd, b, 0, to); err != nil {
		i.log.Debug("router solicitation", "error", err)
	}
}

// restartIPv6 has the kernel forget addresses and routes of the network before. It then asks
// routers by itself.
func (i *iface) restartIPv6() {
	i.servers.forgetRouter(i.name)
	for _, value := range []string{"1", "0"} {
		if err := i.setSwitch("ipv6/conf/%s/disable_ipv6", value); err != nil {
			return // no IPv6
		}
	}
	i.setSwitches()
}

// nameOf gives the name of an interface by its index.
func nameOf(index int) (string, bool) {
	i, err := net.InterfaceByIndex(index)
	if err != nil {
		return "", false
	}
	return i.Name, true
}
