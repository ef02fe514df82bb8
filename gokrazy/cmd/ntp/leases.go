// Time servers from DHCP (option 42): dhcp, which has the lease, writes it into a file for each
// interface.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	leaseFolder = "/run/dhcp"
	// maxLease is more bytes than dhcp writes.
	maxLease = 64 << 10
	// maxDHCPServers is the maximum of servers that are used of one lease.
	maxDHCPServers = 4
)

var errOtherLease = errors.New("the lease is of another address")

// A leaseFolderPath is where the leases lie.
type leaseFolderPath string

// servers gives the time servers of n's lease. One without servers is no error.
func (folder leaseFolderPath) servers(_ context.Context, n network) ([]netip.Addr, error) {
	b, err := openfile.Read(filepath.Join(string(folder), filepath.Base(n.name)+".json"), maxLease)
	if err != nil {
		return nil, err
	}
	servers, err := parseLease(b, n.address)
	if err != nil {
		return nil, fmt.Errorf("lease of %s: %w", n.name, err)
	}
	return servers, nil
}

// parseLease gives the servers of a lease of our address, in its order, each once.
func parseLease(b []byte, ours netip.Addr) ([]netip.Addr, error) {
	var l struct {
		Address     netip.Prefix `json:"address"`
		TimeServers []netip.Addr `json:"timeServers"`
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, err
	}
	if l.Address.Addr() != ours {
		return nil, fmt.Errorf("%w: %v, ours is %v", errOtherLease, l.Address, ours)
	}
	var servers []netip.Addr
	for _, a := range l.TimeServers {
		if a.Is4() && isUsable(a) && !slices.Contains(servers, a) && len(servers) < maxDHCPServers {
			servers = append(servers, a)
		}
	}
	return servers, nil
}
