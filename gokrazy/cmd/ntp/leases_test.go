package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// lease is what dhcp writes for dnsmasq's answer.
const lease = `{"address":"192.0.2.9/24","routes":[{"destination":"0.0.0.0/0","gateway":"192.0.2.1"}],` +
	`"nameServers":["192.0.2.1"],"timeServers":["192.0.2.7","192.0.2.1"],"domain":"example.org",` +
	`"server":"192.0.2.1","duration":3600000000000,"renew":1800000000000,"rebind":3150000000000,` +
	`"sinceBoot":1234567890}` + "\n"

func TestServersAreThoseOfTheLeaseOfOurAddress(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "eth0.json"), []byte(lease), 0o600); err != nil {
		t.Fatal(err)
	}
	ours := network{"eth0", netip.MustParseAddr("192.0.2.9")}
	got, err := leaseFolderPath(folder).servers(t.Context(), ours)
	if want := addresses("192.0.2.7", "192.0.2.1"); err != nil || !slices.Equal(got, want) {
		t.Errorf("servers = %v, %v, want %v", got, err, want)
	}
	for _, n := range []network{
		{"eth0", netip.MustParseAddr("192.0.2.8")}, // the lease before this one
		{"wlan0", netip.MustParseAddr("192.0.2.9")},
		{"../eth0/..", netip.MustParseAddr("192.0.2.9")},
	} {
		if got, err := leaseFolderPath(folder).servers(t.Context(), n); err == nil {
			t.Errorf("servers of %v = %v, want an error", n, got)
		}
	}
}

func TestServersThatNobodyCanBeAreLeftOut(t *testing.T) {
	const text = `{"address":"192.0.2.9/24","timeServers":["0.0.0.0","127.0.0.1","224.0.1.1","255.255.255.255",` +
		`"169.254.1.1","2001:db8::1","","9.0.0.1","9.0.0.1","9.0.0.2","9.0.0.3","9.0.0.4","9.0.0.5"]}`
	got, err := parseLease([]byte(text), netip.MustParseAddr("192.0.2.9"))
	if want := addresses("9.0.0.1", "9.0.0.2", "9.0.0.3", "9.0.0.4"); err != nil || !slices.Equal(got, want) {
		t.Errorf("servers = %v, %v, want %v", got, err, want)
	}
}

func FuzzParseLease(f *testing.F) {
	f.Add([]byte(lease))
	f.Fuzz(func(t *testing.T, b []byte) {
		servers, err := parseLease(b, netip.MustParseAddr("192.0.2.9"))
		if err != nil && servers != nil || len(servers) > maxDHCPServers {
			t.Fatalf("servers %v and error %v", servers, err)
		}
		for _, a := range servers {
			if !a.Is4() || !isUsable(a) {
				t.Fatalf("server %v, which no host is at", a)
			}
		}
	})
}
