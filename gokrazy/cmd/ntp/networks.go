// The networks of the board, and each change of them. Source: rtnetlink(7).

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// A network is an address of the board to which servers can answer.
type network struct {
	name    string // of the interface
	address netip.Addr
}

// watchNetworks sends the usable addresses at once and after every change, until ctx ends. A late
// receiver gets the latest only.
func watchNetworks(ctx context.Context, log *slog.Logger) (<-chan []network, error) {
	const kind = unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(unix.AF_NETLINK, kind, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	changes := os.NewFile(uintptr(fd), "rtnetlink")
	groups := uint32(unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		changes.Close()
		return nil, fmt.Errorf("netlink: %w", err)
	}
	out := make(chan []network, 1)
	context.AfterFunc(ctx, func() { changes.Close() })
	go sendNetworks(ctx, log, changes, out)
	return out, nil
}

// sendNetworks lists the addresses again after every message. It does not parse the message.
func sendNetworks(ctx context.Context, log *slog.Logger, changes *os.File, out chan []network) {
	var last []network
	buf := make([]byte, 8192)
	for {
		present, err := usableNetworks()
		if err != nil {
			log.Error("addresses", "error", err)
		} else if !slices.Equal(present, last) {
			last = present
			select { // drop an older one that was not received
			case <-out:
			default:
			}
			out <- present // has room: this is the only sender
		}
		// ENOBUFS means that messages were lost: another reason to list again.
		if _, err := changes.Read(buf); err != nil && ctx.Err() != nil {
			return
		}
	}
}

// usableNetworks lists the addresses of interfaces that are up.
func usableNetworks() ([]network, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var found []network
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue // the interface vanished
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && isUsable(p.Addr()) {
				found = append(found, network{i.Name, p.Addr().Unmap()})
			}
		}
	}
	return found, nil
}

// isUsable says whether a server can answer to the address: not to a link-local one, which every
// interface has before DHCP is done.
func isUsable(a netip.Addr) bool { return a.IsGlobalUnicast() && !a.IsLinkLocalUnicast() }
