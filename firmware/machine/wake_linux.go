// Why to ask the gateway at once instead of after the backoff: a new address or way out, or a clock that was set.
// Owns a netlink socket and a timerfd. Sources: rtnetlink(7), timerfd_create(2), proc_net(5).

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

// WakeOnChange calls wake whenever this machine gets an address or a default route it did
// not have (link up, DHCP, another network) or somebody sets its clock, until ctx ends. It
// does not block. Where the kernel gives no such news, the backoff has to do.
func WakeOnChange(ctx context.Context, wake func(), log *slog.Logger) {
	for _, w := range []struct {
		what string
		open func() (*os.File, error)
		news func() bool
	}{
		{"addresses", openNetworkNews, newWays()},
		{"clock", openClockNews, func() bool { return true }},
	} {
		f, err := w.open()
		if err != nil {
			log.Warn("changes go unnoticed", "of", w.what, "because", err)
			continue
		}
		stop := context.AfterFunc(ctx, func() { f.Close() })
		go func() {
			defer stop()
			defer f.Close()
			follow(f, w.news, wake)
		}()
	}
}

// follow calls wake for each piece of news that f brings, until f is closed.
func follow(f *os.File, news func() bool, wake func()) {
	b := make([]byte, 64<<10) // netlink(7): one message is at most 32 KiB; what it says is read elsewhere
	for {
		_, err := f.Read(b)
		switch {
		case err == nil, errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ECANCELED): // ENOBUFS: news were lost, so there are some
			if news() {
				wake()
			}
		case errors.Is(err, unix.EINTR):
		default:
			return
		}
	}
}

// openNetworkNews gives a descriptor that becomes readable when a link, an address or a route changes.
func openNetworkNews() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// openClockNews gives a descriptor whose reads fail with ECANCELED when the wall
// clock is set, and otherwise wait for a moment that never comes.
func openClockNews() (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	var at unix.ItimerSpec
	at.Value.Sec = 1<<31 - 1 // in 2038, the last second that a 32-bit board's kernel call can name; then it only wakes once too often
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &at, nil); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("timerfd_settime", err)
	}
	return os.NewFile(uintptr(fd), "timerfd"), nil
}

// newWays returns a function that tells whether there are addresses or default routes now
// that were not there when it was called last. Routers renew IPv6 addresses every few
// minutes: that is no news. A DHCP client sets the route after the address: who asked in
// between would wait a second for nothing.
func newWays() func() bool {
	known := ways()
	return func() bool {
		now := ways()
		before := known
		known = now
		for a := range now {
			if !before[a] {
				return true
			}
		}
		return false
	}
}

func ways() map[string]bool {
	set := map[string]bool{}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return set
	}
	for _, a := range list {
		set[a.String()] = true
	}
	for _, table := range []struct {
		path, anywhere      string // anywhere: a destination that is everything
		to, by, link, width int    // columns, and how many there are
	}{
		{"/proc/net/route", "00000000", 1, 2, 0, 11},
		{"/proc/net/ipv6_route", "00000000000000000000000000000000", 0, 4, 9, 10},
	} {
		b, err := os.ReadFile(table.path)
		if err != nil {
			continue // IPv6 may be off
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) == table.width && f[table.to] == table.anywhere && f[table.link] != "lo" { // lo: the kernel's own, to nowhere
				set["by "+f[table.by]+" on "+f[table.link]] = true
			}
		}
	}
	return set
}
