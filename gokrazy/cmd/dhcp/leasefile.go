// The leases in the state folder, NAME.json for each interface. A process that is started anew takes
// them up again; ntp reads their time servers. They do not outlive a boot: the server remembers a
// board by its MAC address, and the card is spared.

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/cmd/dhcp/client"
)

// maxLeaseFile is more than any of ours has.
const maxLeaseFile = 64 << 10

// A leaseFile counts from the boot, because the wall clock is set later.
type leaseFile struct {
	client.Lease
	SinceBoot time.Duration `json:"sinceBoot"`
	Router    string        `json:"routerHardware,omitempty"` // MAC address
}

func leasePath(folder, name string) string { return filepath.Join(folder, filepath.Base(name)+".json") }

func rememberLease(folder, name string, g client.Granted) error {
	since := uptime() - time.Since(g.Since)
	b, err := json.Marshal(leaseFile{g.Lease, since, g.Router.String()})
	if err != nil {
		return fmt.Errorf("lease of %s: %w", name, err)
	}
	return atomicfile.Replace(leasePath(folder, name), 0o644, func(f *os.File) error {
		_, err := f.Write(append(b, '\n'))
		return err
	})
}

// recallLease reads what rememberLease wrote; a file that cannot be read is none.
func recallLease(folder, name string, log *slog.Logger) (client.Granted, bool) {
	b, err := openfile.Read(leasePath(folder, name), maxLeaseFile)
	if err != nil {
		return client.Granted{}, false
	}
	var l leaseFile
	if err := json.Unmarshal(b, &l); err != nil {
		log.Warn("lease of the process before is not used", "error", err)
		return client.Granted{}, false
	}
	age := uptime() - l.SinceBoot
	if !l.Address.IsValid() || l.Duration <= 0 || age < 0 {
		return client.Granted{}, false
	}
	router, err := net.ParseMAC(l.Router)
	if err != nil || len(router) != 6 {
		router = nil
	}
	return client.Granted{Lease: l.Lease, Since: time.Now().Add(-age), Router: router}, true
}

func forgetLease(folder, name string) {
	if err := os.Remove(leasePath(folder, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		slog.Error("an old lease stays written down", "error", err)
	}
}

// uptime is the time since the boot.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0 // only an unknown clock fails
	}
	return time.Duration(t.Nano())
}
