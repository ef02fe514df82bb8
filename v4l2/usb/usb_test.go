package usb

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
)

// plant makes the files of a USB device behind a hub.
func plant(t *testing.T, files map[string]string) tree {
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
	return tree{filepath.Join(root, "devices"), filepath.Join(root, "nodes")}
}

func TestSwitchOfAPortIsItsHubs(t *testing.T) {
	u := tree{devices: "/d"}
	for port, want := range map[string]string{
		"1-1":     "/d/1-0:1.0/usb1-port1/disable",
		"2-4":     "/d/2-0:1.0/usb2-port4/disable",
		"1-1.2":   "/d/1-1:1.0/1-1-port2/disable",
		"1-1.2.3": "/d/1-1.2:1.0/1-1.2-port3/disable",
	} {
		if got, err := u.powerPath(port); got != want || err != nil {
			t.Errorf("powerPath(%q) = %q, %v, want %q", port, got, err, want)
		}
	}
}

// A port's name becomes part of a path that root may write to.
func TestRemediesTakeNothingButAPort(t *testing.T) {
	u := plant(t, nil)
	for _, port := range []string{"", "usb1", "1-1/../../x", "../1-1", "1-1:1.0", "1-", "1-1.", "0-1", "1-1\n"} {
		_, nodeErr := u.nodePath(port)
		if nodeErr == nil || u.reauthorise(t.Context(), port) == nil ||
			u.cyclePower(t.Context(), port) == nil || u.shareFiles(port, os.Getgid()) == nil {
			t.Errorf("%q was taken for a port", port)
		}
	}
}

func TestDeviceIsSwitchedOffAndOnEvenWhenInterrupted(t *testing.T) {
	u := plant(t, map[string]string{
		"devices/1-1.2/authorized": "1", "devices/1-1:1.0/1-1-port2/disable": "0",
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errors.Join(u.reauthorise(ctx, "1-1.2"), u.cyclePower(ctx, "1-1.2")); err != nil {
		t.Error(err)
	}
	after := map[string]string{"1-1.2/authorized": "1", "1-1:1.0/1-1-port2/disable": "0"}
	for name, want := range after {
		if got, err := os.ReadFile(filepath.Join(u.devices, name)); string(got) != want || err != nil {
			t.Errorf("%s = %q, %v, want %q", name, got, err, want)
		}
	}
	if err := u.cyclePower(ctx, "1-1.3"); !errors.Is(err, ErrNoSwitch) {
		t.Errorf("a port without switch: %v, want ErrNoSwitch", err)
	}
}

func TestFilesAreSharedWithTheGroup(t *testing.T) {
	u := plant(t, map[string]string{
		"devices/1-1/authorized": "1", "devices/1-1/busnum": "1\n", "devices/1-1/devnum": "12\n",
		"devices/1-0:1.0/usb1-port1/disable": "0", "nodes/001/012": "",
	})
	if err := u.shareFiles("1-1", os.Getgid()); err != nil {
		t.Fatal(err)
	}
	shared := []string{
		u.devices + "/1-1/authorized", u.devices + "/1-0:1.0/usb1-port1/disable", u.nodes + "/001/012",
	}
	for _, path := range shared {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o664 {
			t.Errorf("%s: %v, %v, want mode 664", path, info.Mode(), err)
		}
	}
}

// A link in a plain fs.FS: what ReadLink returns is the content of the file.
func link(target string) *fstest.MapFile {
	return &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte(target)}
}

func TestCameraPortsAreThoseOfVideoNodesOnUSB(t *testing.T) {
	sys := fstest.MapFS{
		"class/video4linux/video0/device":      link("../../../1-1.2:1.0"),
		"class/video4linux/video1/device":      link("../../../1-1.2:1.0"), // metadata of the same camera
		"class/video4linux/video2/device":      link("../../../2-4:1.0"),
		"class/video4linux/video10/device":     link("../../../fe801000.isp"), // not on USB
		"class/video4linux/v4l-subdev0/device": link("../../../1-3:1.0"),
		"bus/usb/devices/1-1.2/serial":         {Data: []byte("AB12\n")},
		"bus/usb/devices/2-4/busnum":           {Data: []byte("2\n")}, // no serial number
		"bus/usb/devices/1-3/busnum":           {Data: []byte("1\n")},
	}
	got, err := cameraPorts(sys)
	if want := []string{"1-1.2", "1-1.2", "2-4"}; !slices.Equal(got, want) || err != nil {
		t.Errorf("cameraPorts = %q, %v, want %q", got, err, want)
	}
	if got, err := cameraPorts(fstest.MapFS{}); len(got) != 0 || err != nil {
		t.Errorf("cameraPorts without a camera's driver = %q, %v, want none", got, err)
	}
}

func TestIdentifyTellsUSBFromWhatHasAColonToo(t *testing.T) {
	sys := fstest.MapFS{
		"class/video4linux/video0/device": link("../../../1-1.2:1.0"),
		"class/video4linux/video1/device": link("../../../soc:isp"),
		"class/video4linux/video2/device": link("../../../2-4:1.0"),
		"bus/usb/devices/1-1.2/serial":    {Data: []byte("AB\xff12\n")},
		"bus/usb/devices/2-4/busnum":      {Data: []byte("2\n")},
	}
	for node, want := range map[string][2]string{
		"video0": {"1-1.2", "AB?12"}, "video1": {"", ""}, "video2": {"2-4", ""}, "video3": {"", ""},
	} {
		port, serial := Identify(sys, node)
		if got := [2]string{port, serial}; got != want {
			t.Errorf("Identify(%s) = %q, want %q", node, got, want)
		}
	}
}
