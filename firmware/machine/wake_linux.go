// News that make it worth asking the gateway at once instead of after the backoff: a new address
// or default route, or a clock that was set. Owns a netlink socket and a timerfd.
// Sources: rtnetlink(7), timerfd_create(2), proc_net(5).

package machine

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// WakeOnChange calls wake whenever this machine gets an address or a default route that it did
// not have (link up, DHCP, another network) or somebody sets its clock, until ctx ends. It does
// not block. Where the kernel reports no such changes, the backoff has to do.
func WakeOnChange(ctx context.Context, wake func(), log *slog.Logger) {
	for _, source := range []struct {
		what   string
		open   func() (*os.File, error)
		isNews func() bool // after a report of the kernel
	}{
		{"addresses", openNetworkReports, newRouteWatch()},
		{"clock", openClockReports, func() bool { return true }},
	} {
		f, err := source.open()
		if err != nil {
			log.Warn("changes of this machine go unnoticed", "of", source.what, "error", err)
			continue
		}
		stop := context.AfterFunc(ctx, func() { f.Close() })
		go func() {
			defer stop()
			defer f.Close()
			wakeOnReports(f, source.isNews, wake)
		}()
	}
}

// wakeOnReports calls wake for each report that f brings and that is news, until f is closed.
func wakeOnReports(f *os.File, isNews func() bool, wake func()) {
	// netlink(7): one message is at most 32 KiB. What it says is read elsewhere.
	b := make([]byte, 64<<10)
	for {
		_, err := f.Read(b)
		switch {
		case err == nil, errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ECANCELED):
			// ENOBUFS: reports were lost, so there were some. ECANCELED: the clock was set.
			if isNews() {
				wake()
			}
		case errors.Is(err, unix.EINTR):
		default:
			return
		}
	}
}

// openNetworkReports returns a descriptor that becomes readable when a link, an address or a
// route changes.
func openNetworkReports() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR |
		unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// openClockReports returns a descriptor whose reads fail with ECANCELED when the wall clock is
// set, and otherwise wait for a moment that never comes.
func openClockReports() (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	var at unix.ItimerSpec
	// In 2038: the last second that a 32-bit board's system call can name. When it comes, there
	// is one wake-up too many.
	at.Value.Sec = 1<<31 - 1
	const flags = unix.TFD_TIMER_ABSTIME | unix.TFD_TIMER_CANCEL_ON_SET
	if err := unix.TimerfdSettime(fd, flags, &at, nil); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("timerfd_settime", err)
	}
	return os.NewFile(uintptr(fd), "timerfd"), nil
}

// newRouteWatch returns a function that says whether there are addresses or default routes now
// that were not there at its last call. Routers renew IPv6 addresses every few minutes: that is
// no news. Routes count because a DHCP client sets the route after the address: a question to
// the gateway in between would fail and cost a second of backoff.
func newRouteWatch() (isNews func() bool) {
	known := listAddressesAndRoutes()
	return func() bool {
		before := known
		known = listAddressesAndRoutes()
		for entry := range known {
			if !before[entry] {
				return true
			}
		}
		return false
	}
}

// A routeTable is a file of the kernel that lists routes, one a line.
type routeTable struct {
	path                              string
	defaultDestination                string // how the default route's destination is printed
	destination, gateway, link, width int    // columns, and how many there are
}

func routeTables() []routeTable {
	return []routeTable{
		{"/proc/net/route", "00000000", 1, 2, 0, 11},
		{"/proc/net/ipv6_route", "00000000000000000000000000000000", 0, 4, 9, 10},
	}
}

// listAddressesAndRoutes returns this machine's addresses and default routes as text.
func listAddressesAndRoutes() map[string]bool {
	set := map[string]bool{}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return set
	}
	for _, a := range list {
		set[a.String()] = true
	}
	for _, t := range routeTables() {
		b, err := os.ReadFile(t.path)
		if err != nil {
			continue // IPv6 may be off
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			// The kernel's own default route on lo leads nowhere.
			if len(f) == t.width && f[t.destination] == t.defaultDestination && f[t.link] != "lo" {
				set["by "+f[t.gateway]+" on "+f[t.link]] = true
			}
		}
	}
	return set
}
