// Who this board is on a network: the host name krazycam-XXXXXX, by its serial number.

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	hostPrefix = "krazycam-"
	hostDigits = 6 // of the serial number, from its end
	// interfaceWait is for a board whose boot firmware says neither serial number nor MAC address:
	// QEMU's, whose network card appears when its module is loaded.
	interfaceWait     = 2 * time.Second
	interfaceInterval = 20 * time.Millisecond
	sysfsFile         = 64 << 10 // bytes: each says that it has a page, which is 64 kB at most
)

// An identity is what tells one board from another.
type identity struct {
	serial   string // of the device tree; "" if it has none
	hostname string
}

// identify finds the identity and sets the host name, which dhcp sends to the network's servers, so
// before they start. gokrazy has set the image's. Without serial number and MAC address that stays.
func identify(ctx context.Context, log *slog.Logger) identity {
	id := identity{serial: deviceTree("serial-number")}
	digits := lastDigits(id.serial)
	if digits == "" {
		digits = lastDigits(firstMAC(ctx, "/proc/device-tree", "/sys/class/net"))
	}
	if digits != "" {
		if err := unix.Sethostname([]byte(hostPrefix + digits)); err != nil {
			log.Error("host name", "error", err)
		}
	}
	name, err := os.Hostname()
	if err != nil {
		log.Error("host name", "error", err)
	}
	id.hostname = name
	return id
}

// lastDigits gives the last six hexadecimal digits of a serial number or a MAC address, in small
// letters; "" if it has fewer, or says nothing: all of one kind.
func lastDigits(number string) string {
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789abcdef", r) {
			return r
		}
		return -1
	}, strings.ToLower(number))
	if len(digits) < hostDigits || strings.Trim(digits, digits[:1]) == "" {
		return ""
	}
	return digits[len(digits)-hostDigits:]
}

// firstMAC gives the MAC address of the board's first Ethernet: from the device tree, where U-Boot
// puts it, else from the interface, for which it waits a little. "" if there is none.
func firstMAC(ctx context.Context, tree, net string) string {
	if b, err := openfile.Read(path.Join(tree, "aliases/ethernet0"), 1<<10); err == nil {
		node := path.Join("/", strings.TrimRight(string(b), "\x00"))
		for _, property := range []string{"local-mac-address", "mac-address"} {
			if b, err := openfile.Read(path.Join(tree, node, property), 1<<10); err == nil && len(b) == 6 {
				return hex.EncodeToString(b)
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, interfaceWait)
	defer cancel()
	tick := time.NewTicker(interfaceInterval)
	defer tick.Stop()
	for {
		b, err := openfile.Read(path.Join(net, ethernetName, "address"), sysfsFile)
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return strings.TrimSpace(string(b))
		}
		select {
		case <-ctx.Done():
			return ""
		case <-tick.C:
		}
	}
}
