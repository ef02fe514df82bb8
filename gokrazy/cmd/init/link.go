// The Ethernet link: raised early, because an Ethernet PHY takes 1 to 3 s to agree on a speed.
// Spec: netdevice(7).

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"
)

// ethernet is the interface that gokrazy's dhcp asks on.
const ethernet = "eth0"

// A Pi 3's Ethernet hangs on USB and appears about 2 s after the kernel's start.
const (
	linkPatience = 20 * time.Second
	linkEvery    = 50 * time.Millisecond
)

// raiseLink brings the Ethernet interface up as soon as it is there, in the
// background. gokrazy's dhcp would do it too, but only after a wait of one second
// and then looks for a carrier once a second; until then the PHY would do nothing.
func raiseLink(ctx context.Context, log *slog.Logger) {
	go func() {
		ctx, cancel := context.WithTimeout(ctx, linkPatience)
		defer cancel()
		tick := time.NewTicker(linkEvery)
		defer tick.Stop()
		for {
			err := linkUp(ethernet)
			if err == nil {
				return
			}
			if !errors.Is(err, unix.ENODEV) {
				log.Warn("link not raised early", "error", err)
				return
			}
			select {
			case <-ctx.Done():
				return // no Ethernet on this board
			case <-tick.C:
			}
		}
	}()
}

// linkUp sets IFF_UP; the error is ENODEV as long as there is no such interface.
func linkUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("link %s: socket: %w", name, err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return fmt.Errorf("link %s: SIOCGIFFLAGS: %w", name, err)
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("link %s: SIOCSIFFLAGS: %w", name, err)
	}
	return nil
}
