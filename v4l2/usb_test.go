package v4l2

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// plant makes the files of a USB device behind a hub.
func plant(t *testing.T, files map[string]string) usbTree {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return usbTree{filepath.Join(root, "devices"), filepath.Join(root, "nodes")}
}

func TestUSBSwitchOfAPortIsItsHubs(t *testing.T) {
	u := usbTree{devices: "/d"}
	for port, want := range map[string]string{
		"1-1":     "/d/1-0:1.0/usb1-port1/disable",
		"2-4":     "/d/2-0:1.0/usb2-port4/disable",
		"1-1.2":   "/d/1-1:1.0/1-1-port2/disable",
		"1-1.2.3": "/d/1-1.2:1.0/1-1.2-port3/disable",
	} {
		if got, err := u.power(port); got != want || err != nil {
			t.Errorf("power(%q) = %q, %v, want %q", port, got, err, want)
		}
	}
}

// A port's name becomes part of a path that root may write to.
func TestUSBTakesNothingButAPort(t *testing.T) {
	u := plant(t, nil)
	for _, port := range []string{"", "usb1", "1-1/../../x", "../1-1", "1-1:1.0", "1-", "1-1.", "0-1", "1-1\n"} {
		_, nodeErr := u.node(port)
		if nodeErr == nil || u.reauthorise(t.Context(), port) == nil || u.cyclePower(t.Context(), port) == nil || u.share(port, os.Getgid()) == nil {
			t.Errorf("%q was taken for a port", port)
		}
	}
}

func TestUSBDeviceIsSwitchedOffAndOnEvenWhenInterrupted(t *testing.T) {
	u := plant(t, map[string]string{"devices/1-1.2/authorized": "1", "devices/1-1:1.0/1-1-port2/disable": "0"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errors.Join(u.reauthorise(ctx, "1-1.2"), u.cyclePower(ctx, "1-1.2")); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"1-1.2/authorized": "1", "1-1:1.0/1-1-port2/disable": "0"} {
		if got, err := os.ReadFile(filepath.Join(u.devices, name)); string(got) != want || err != nil {
			t.Errorf("%s = %q, %v, want %q", name, got, err, want)
		}
	}
	if err := u.cyclePower(ctx, "1-1.3"); !errors.Is(err, ErrNoSwitch) {
		t.Errorf("a port without switch: %v, want ErrNoSwitch", err)
	}
}

func TestUSBFilesAreSharedWithTheGroup(t *testing.T) {
	u := plant(t, map[string]string{
		"devices/1-1/authorized": "1", "devices/1-1/busnum": "1\n", "devices/1-1/devnum": "12\n",
		"devices/1-0:1.0/usb1-port1/disable": "0", "nodes/001/012": "",
	})
	if err := u.share("1-1", os.Getgid()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{u.devices + "/1-1/authorized", u.devices + "/1-0:1.0/usb1-port1/disable", u.nodes + "/001/012"} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o664 {
			t.Errorf("%s: %v, %v, want mode 664", path, info.Mode(), err)
		}
	}
}
