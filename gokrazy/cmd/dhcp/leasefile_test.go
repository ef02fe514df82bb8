package main

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/cmd/dhcp/client"
)

func TestLeaseFileGivesBackTheLeaseAndItsRouter(t *testing.T) {
	for _, router := range []net.HardwareAddr{nil, {2, 0, 0, 0, 0, 1}} {
		folder := t.TempDir()
		g := client.Granted{Since: time.Now().Add(-time.Second), Router: router}
		g.Address, g.Duration = netip.MustParsePrefix("192.0.2.50/24"), time.Hour
		if err := rememberLease(folder, "near", g); err != nil {
			t.Fatal(err)
		}
		got, ok := recallLease(folder, "near", slog.New(slog.DiscardHandler))
		if !ok || got.Address != g.Address || got.Duration != g.Duration || !bytes.Equal(got.Router, router) {
			t.Errorf("lease = %v, %v, want %v", got, ok, g)
		}
	}
}
