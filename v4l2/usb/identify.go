// Which USB device is behind a video node: sysfs is read instead of udev, which the board lacks.

package usb

import (
	"bytes"
	"io/fs"
	"path"
	"strings"
)

// Identify says where the device behind a video node, such as video0, is plugged in and what
// it says its serial number is. sys is the file system that is mounted at /sys. Both are empty
// if the device is not on USB; a USB device may have no serial number.
//
// The device of a node is an interface, such as 1-1.2:1.0, of the device 1-1.2.
func Identify(sys fs.FS, node string) (port, serial string) {
	target, err := fs.ReadLink(sys, path.Join(videoClass, node, "device"))
	port, _, isInterface := strings.Cut(path.Base(target), ":")
	if err != nil || !isInterface {
		return "", ""
	}
	number, err := fs.ReadFile(sys, path.Join(usbDevices, port, "serial"))
	if err != nil { // no serial number, or the name is not USB's and has a colon all the same
		if _, err := fs.Stat(sys, path.Join(usbDevices, port)); err != nil {
			return "", ""
		}
	}
	number, _, _ = bytes.Cut(bytes.TrimSpace(number), []byte{0})
	return port, string(bytes.ToValidUTF8(number, []byte("?")))
}
