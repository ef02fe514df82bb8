package destination

import (
	"net/netip"
	"testing"
)

func prefixes(all ...string) (list []netip.Prefix) {
	for _, p := range all {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

// Package gateway's tests have every form of every address; these are the answers that its callers build on.
func TestFindSaysWhyAndHowFarAnOwnerMayAllowIt(t *testing.T) {
	local := prefixes("127.0.0.1/8", "::1/128", "192.168.1.7/24", "10.9.9.9/31", "fd00::7/64")
	for _, c := range []struct {
		addr string
		want Danger
		ours bool
	}{
		{"203.0.113.5", Danger{}, false},
		{"192.168.1.8", Danger{}, false},
		{"10.9.9.8", Danger{}, false}, // a /31 has no broadcast address
		{"2001:db8::1", Danger{}, false},
		{"64:ff9b::cb00:7105", Danger{}, false},
		{"127.8.8.8", Danger{}, true},
		{"::1", Danger{}, true},
		{"192.168.1.7", Danger{}, true},
		{"fd00::7", Danger{}, true},
		{"192.168.1.255", Danger{"a broadcast address of our own network", 0}, false},
		{"224.0.0.251", Danger{"a multicast address", 0}, false},
		{"0.1.2.3", Danger{"a reserved address", 0}, false},
		{"::", Danger{"no address", 0}, false},
		{"169.254.169.254", Danger{"a link-local address", 16}, false},
		{"fe80::1", Danger{"a link-local address", 10}, false},
		{"64:ff9b::7f00:1", Danger{"127.0.0.1 behind NAT64: this machine itself", 104}, false},
		{"64:ff9b::c0a8:107", Danger{"192.168.1.7 behind NAT64: this machine itself", 128}, false},
		{"2002:a9fe:101::1", Danger{"169.254.1.1 behind 6to4: a link-local address", 32}, false},
		{"::203.0.113.5", Danger{"an IPv4-compatible address, of which there are none any more", 96}, false},
	} {
		addr := netip.MustParseAddr(c.addr)
		if got := FindDanger(addr, local); got != c.want {
			t.Errorf("FindDanger(%s) = %+v, want %+v", c.addr, got, c.want)
		}
		if got := IsOurs(addr, local); got != c.ours {
			t.Errorf("IsOurs(%s) = %t, want %t", c.addr, got, c.ours)
		}
	}
	if d := FindDanger(netip.Addr{}, local); d.What == "" {
		t.Error("the zero address is no danger")
	}
}

func TestLocalHoldsLoopback(t *testing.T) {
	local, err := Local()
	found := false
	for _, p := range local {
		found = found || p.Contains(netip.MustParseAddr("127.0.0.1"))
	}
	if err != nil || !found {
		t.Errorf("Local = %v, %v, want loopback among it", local, err)
	}
}
