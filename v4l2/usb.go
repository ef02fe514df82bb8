// The ways that the kernel offers to bring a USB device back without a hand at the plug,
// each harder than the one before. Sources: usbdevice_fs.h (USBDEVFS_RESET), kernel
// documentation usb/authorization and ABI/testing/sysfs-bus-usb (authorized, portN/disable).

package v4l2

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usbdevfsReset is _IO('U', 20).
const usbdevfsReset = 'U'<<8 | 20

const (
	// portOff is how long a port stays without power: the capacitors of a camera hold its
	// processor up for some hundred milliseconds.
	portOff = 2 * time.Second
	// deauthorised is how long a device stays without configuration.
	deauthorised = 100 * time.Millisecond
)

// ErrNoSwitch means that nobody can switch the power of a port: its hub has no switch, or
// the kernel is older than 6.0.
var ErrNoSwitch = errors.New("the power of this USB port cannot be switched")

// usbPort is how sysfs names a device by its place: bus, then the ports on the way.
var usbPort = regexp.MustCompile(`^[1-9][0-9]{0,2}-[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,6}$`)

// A usbTree is where the files of USB devices are.
type usbTree struct{ devices, nodes string }

var machineUSB = usbTree{filepath.Join(sysfs, usbDevices), "/dev/bus/usb"}

// ResetUSB resets the device at port (Identity.Port) where it stands: its driver lets go
// and comes back. Who may write to its node in /dev/bus/usb may do that.
func ResetUSB(port string) error {
	node, err := machineUSB.node(port)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(node, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("reset USB device %s: %w", port, err)
	}
	defer f.Close()
	if err := ioctl(int(f.Fd()), usbdevfsReset, nil); err != nil {
		return fmt.Errorf("reset USB device %s: %w", port, err)
	}
	return nil
}

// ReauthoriseUSB takes the device's configuration away and gives it back, which begins
// everything anew but its power.
func ReauthoriseUSB(ctx context.Context, port string) error {
	return machineUSB.reauthorise(ctx, port)
}

// CyclePowerUSB takes the power of port away for two seconds. ErrNoSwitch where nothing
// can.
func CyclePowerUSB(ctx context.Context, port string) error {
	return machineUSB.cyclePower(ctx, port)
}

// ShareUSB lets group do the three to every camera that is plugged in now. It takes root;
// a camera that is plugged in again has new files, but its port's switch stays.
func ShareUSB(group int) error {
	all, err := scan(os.DirFS(sysfs))
	if err != nil {
		return fmt.Errorf("share USB devices: %w", err)
	}
	for _, id := range all {
		if id.Port == "" {
			continue
		}
		if failed := machineUSB.share(id.Port, group); !errors.Is(failed, fs.ErrNotExist) { // else pulled meanwhile
			err = errors.Join(err, failed)
		}
	}
	return err
}

// file is a file of the device at port.
func (u usbTree) file(port, name string) (string, error) {
	if !usbPort.MatchString(port) {
		return "", fmt.Errorf("%q is no USB port such as 1-1.2", port)
	}
	return filepath.Join(u.devices, port, name), nil
}

// node is the device's node, by bus and device number.
func (u usbTree) node(port string) (string, error) {
	var numbers [2]int
	for i, name := range []string{"busnum", "devnum"} {
		path, err := u.file(port, name)
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
	return filepath.Join(u.nodes, fmt.Sprintf("%03d", numbers[0]), fmt.Sprintf("%03d", numbers[1])), nil
}

// power is the switch of a port. The hub above 1-1.2 is 1-1, its interface 1-1:1.0; above
// 1-1 is the root hub usb1 with interface 1-0:1.0.
func (u usbTree) power(port string) (string, error) {
	if _, err := u.file(port, ""); err != nil {
		return "", err
	}
	bus, path, _ := strings.Cut(port, "-")
	hub, face, last := "usb"+bus, bus+"-0:1.0", path
	if i := strings.LastIndexByte(port, '.'); i >= 0 {
		hub, face, last = port[:i], port[:i]+":1.0", port[i+1:]
	}
	return filepath.Join(u.devices, face, hub+"-port"+last, "disable"), nil
}

func (u usbTree) reauthorise(ctx context.Context, port string) error {
	path, err := u.file(port, "authorized")
	if err != nil {
		return err
	}
	if err := toggle(ctx, path, "0", "1", deauthorised); err != nil {
		return fmt.Errorf("authorise USB device %s again: %w", port, err)
	}
	return nil
}

func (u usbTree) cyclePower(ctx context.Context, port string) error {
	path, err := u.power(port)
	if err != nil {
		return err
	}
	if err := toggle(ctx, path, "1", "0", portOff); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EOPNOTSUPP) {
			err = fmt.Errorf("%w: %w", ErrNoSwitch, err)
		}
		return fmt.Errorf("power of USB port %s: %w", port, err)
	}
	return nil
}

// toggle writes off, waits, and writes on, whatever happened meanwhile.
func toggle(ctx context.Context, path, off, on string, wait time.Duration) error {
	write := func(s string) error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // never made
		if err != nil {
			return err
		}
		_, err = f.WriteString(s)
		return errors.Join(err, f.Close())
	}
	if err := write(off); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
	return write(on)
}

// share gives the files that the three write to group. What is not there is no error.
func (u usbTree) share(port string, group int) error {
	authorized, err := u.file(port, "authorized")
	if err != nil {
		return err
	}
	power, err := u.power(port)
	if err != nil {
		return err
	}
	node, err := u.node(port)
	if err != nil {
		return err
	}
	for _, path := range []string{authorized, power, node} {
		chown := os.Chown(path, -1, group)
		if chown == nil {
			chown = os.Chmod(path, 0o664)
		}
		if chown != nil && !errors.Is(chown, fs.ErrNotExist) {
			err = errors.Join(err, chown)
		}
	}
	return err
}
