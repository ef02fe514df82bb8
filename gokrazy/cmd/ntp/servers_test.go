package main

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var quiet = slog.New(slog.DiscardHandler)

func addresses(s ...string) []netip.Addr {
	var list []netip.Addr
	for _, a := range s {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

func TestServerList(t *testing.T) {
	many := make([]string, 20)
	for i := range many {
		many[i] = string(rune('a' + i))
	}
	for _, c := range []struct {
		name       string
		configured []string
		dhcp       []netip.Addr
		want       []string
	}{
		{"nobody names one: the pool", nil, nil, poolServers()},
		{"DHCP's replace the pool", nil, addresses("192.0.2.1"), []string{"192.0.2.1"}},
		{"the owner's come before DHCP's", []string{"time.example"}, addresses("192.0.2.1"),
			[]string{"time.example", "192.0.2.1"}},
		{"each once, at its best rank", []string{"192.0.2.1", "b"}, addresses("192.0.2.2", "192.0.2.1"),
			[]string{"192.0.2.1", "b", "192.0.2.2"}},
		{"no more than a round can ask", many, nil, many[:maxServers]},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, serverList(c.configured, c.dhcp)); diff != "" {
				t.Errorf("serverList (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfiguredServers(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       []string
	}{
		{"the owner's, in the owner's order", `{"time": {"ntp": ["b.example", "192.0.2.1"]}}`,
			[]string{"b.example", "192.0.2.1"}},
		{"a configuration without any", `{}`, nil},
		{"a broken configuration", `{"time":`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "krazycam.json")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, configuredServers(quiet, path)); diff != "" {
				t.Errorf("configuredServers (-want +got):\n%s", diff)
			}
		})
	}
	if got := configuredServers(quiet, filepath.Join(t.TempDir(), "none")); got != nil {
		t.Errorf("a missing configuration names %v", got)
	}
}
