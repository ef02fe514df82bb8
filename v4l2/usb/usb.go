// Package usb brings back a USB camera that hangs, without a hand at the plug, and lets an
// unprivileged process do so.
//
// It stands beside the flow: v4l2 asks it where a camera is plugged in (Identify), firmware
// calls the three remedies when a camera stays silent (Reset, Reauthorise, CyclePower, each
// harder on the device than the one before), and process 1 hands the files that they write to
// camsource's group (ShareCameras). It opens no video node and owns nothing between two calls.
//
// A port is the name that the kernel gives to a device by its place: the bus, then the ports
// on the way, such as 1-1.2.
//
// Tests here play sysfs with files. Against uvcvideo and a hanging webcam it is tested in the
// VM of package v4l2, which has one anyway: mend_guest_test.go and rescue_guest_test.go there.
//
// Sources: usbdevice_fs.h (USBDEVFS_RESET), kernel documentation usb/authorization and
// ABI/testing/sysfs-bus-usb (authorized, portN/disable).
package usb

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const (
	sysfs      = "/sys"
	videoClass = "class/video4linux" // below sysfs
	usbDevices = "bus/usb/devices"   // below sysfs
)

// portName is how sysfs names a device by its place.
var portName = regexp.MustCompile(`^[1-9][0-9]{0,2}-[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,6}$`)

// A tree is where the files of USB devices are.
type tree struct {
	devices string // a folder for each device and each interface
	nodes   string // the device nodes, by bus number and device number
}

var machineTree = tree{filepath.Join(sysfs, usbDevices), "/dev/bus/usb"}

// attributePath is the path of a sysfs attribute of the device at port.
func (t tree) attributePath(port, name string) (string, error) {
	if !portName.MatchString(port) {
		return "", fmt.Errorf("%q is no USB port such as 1-1.2", port)
	}
	return filepath.Join(t.devices, port, name), nil
}

// nodePath is the path of the device's node.
func (t tree) nodePath(port string) (string, error) {
	var numbers [2]int
	for i, name := range []string{"busnum", "devnum"} {
		path, err := t.attributePath(port, name)
		if err != nil {
			return "", err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("USB device %s: %w", port, err)
		}
		if numbers[i], err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
			return "", fmt.Errorf("USB device %s: %s: %w", port, name, err)
		}
	}
	return filepath.Join(t.nodes, fmt.Sprintf("%03d", numbers[0]), fmt.Sprintf("%03d", numbers[1])), nil
}

// powerPath is the path of a port's power switch. The hub above 1-1.2 is 1-1, its interface
// 1-1:1.0; above 1-1 is the root hub usb1 with interface 1-0:1.0.
func (t tree) powerPath(port string) (string, error) {
	if _, err := t.attributePath(port, ""); err != nil {
		return "", err
	}
	bus, path, _ := strings.Cut(port, "-")
	hub, hubInterface, number := "usb"+bus, bus+"-0:1.0", path
	if i := strings.LastIndexByte(port, '.'); i >= 0 {
		hub, hubInterface, number = port[:i], port[:i]+":1.0", port[i+1:]
	}
	return filepath.Join(t.devices, hubInterface, hub+"-port"+number, "disable"), nil
}
