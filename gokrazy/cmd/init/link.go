// The Ethernet link is set up early, because an Ethernet PHY needs 1 to 3 s to negotiate a speed.
// Source: netdevice(7).

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"
)

// ethernetName is the board's own Ethernet interface; dhcp sets others up when it sees them.
const ethernetName = "eth0"

// The Ethernet of a Pi 3 is on USB and appears about 2 s after the kernel's start.
const (
	linkTimeout       = 20 * time.Second
	linkRetryInterval = 50 * time.Millisecond
)

// raiseLink sets the Ethernet interface up as soon as it exists, in the background. dhcp would do
// that, too, but starts later; until then the PHY would do nothing.
func raiseLink(ctx context.Context, log *slog.Logger) {
	go func() {
		ctx, cancel := context.WithTimeout(ctx, linkTimeout)
		defer cancel()
		tick := time.NewTicker(linkRetryInterval)
		defer tick.Stop()
		for {
			err := setLinkUp(ethernetName)
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

// setLinkUp sets IFF_UP; the error is ENODEV if there is no such interface.
func setLinkUp(name string) error {
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
