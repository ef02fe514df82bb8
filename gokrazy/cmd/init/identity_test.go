package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLastDigits(t *testing.T) {
	for number, want := range map[string]string{
		"10000000a1B2c3d4":  "b2c3d4", // a Raspberry Pi 4
		"2714BBBK1234":      "bb1234", // a BeagleBone's: what is no digit is left out
		"52:54:00:12:34:56": "123456",
		"b827eb123456":      "123456",
		"0000000000000000":  "", // nobody burnt one in
		"ffffffffffffffff":  "",
		"12345":             "",
		"":                  "",
		"../../etc/passwd":  "", // etc: e, c; passwd: a, d
	} {
		if got := lastDigits(number); got != want {
			t.Errorf("lastDigits(%q) = %q, want %q", number, got, want)
		}
	}
}

// The kernel's own file, which says that it is longer than it is.
func TestFirstMACReadsSysfs(t *testing.T) {
	lo, err := os.ReadFile("/sys/class/net/lo/address")
	if err != nil {
		t.Fatal(err)
	}
	net := t.TempDir()
	if err := os.Symlink("/sys/class/net/lo", filepath.Join(net, ethernetName)); err != nil {
		t.Fatal(err)
	}
	if got := firstMAC(t.Context(), t.TempDir(), net); got != strings.TrimSpace(string(lo)) {
		t.Errorf("firstMAC = %q, want %q", got, lo)
	}
}

func TestFirstMAC(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, net := filepath.Join(dir, "tree"), filepath.Join(dir, "net")
	appears := time.AfterFunc(interfaceInterval, func() { put("net/eth0/address", "52:54:00:12:34:56\n") })
	defer appears.Stop()
	if got := firstMAC(t.Context(), tree, net); got != "52:54:00:12:34:56" {
		t.Errorf("firstMAC = %q, want that of the interface which appears", got)
	}
	put("tree/aliases/ethernet0", "/ocp/ethernet@4a100000/slave@0\x00")
	put("tree/ocp/ethernet@4a100000/slave@0/mac-address", "\xd0\x39\x72\x01\x02\x03")
	if got := firstMAC(t.Context(), tree, net); got != "d03972010203" {
		t.Errorf("firstMAC = %q, want that of the device tree", got)
	}
	put("tree/aliases/ethernet0", "/../../../../etc\x00")
	if got := firstMAC(t.Context(), tree, net); got != "52:54:00:12:34:56" {
		t.Errorf("firstMAC with an alias that leads out of the tree = %q", got)
	}
}
