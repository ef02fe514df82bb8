// Which servers are asked: those of the configuration and those of DHCP; if there are none, the
// public pool, which is also asked where those fail (round.go).

package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"

	"github.com/krazycam/krazycam/firmware/config"
)

// maxServers bounds one round: each server that does not answer costs askTimeout.
const maxServers = 8

// poolServers are asked if neither the configuration nor DHCP names a server. The four names stand
// for different servers (https://www.ntppool.org/en/use.html).
func poolServers() []string {
	return []string{"0.pool.ntp.org", "1.pool.ntp.org", "2.pool.ntp.org", "3.pool.ntp.org"}
}

// serverList merges the servers by rank, each once.
func serverList(configured []string, fromDHCP []netip.Addr) []string {
	list := slices.Clone(configured)
	for _, a := range fromDHCP {
		list = append(list, a.String())
	}
	if len(list) == 0 {
		list = poolServers()
	}
	seen := make(map[string]bool, len(list))
	list = slices.DeleteFunc(list, func(s string) bool {
		again := seen[s]
		seen[s] = true
		return again
	})
	return list[:min(len(list), maxServers)]
}

// configuredServers reads time.ntp. If the file is missing or broken, there are those of the image;
// what is wrong with the owner's file is logged.
func configuredServers(log *slog.Logger, path string) []string {
	if path == "" {
		return nil
	}
	c, err := config.LoadBoard(config.ImageDefaults, path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("configuration not used as it stands", "servers", c.Time.NTP, "error", err)
	}
	return c.Time.NTP
}
