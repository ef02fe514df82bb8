// The three ways in which the kernel can bring a USB device back, each harder than the one
// before.

package usb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// usbdevfsReset is _IO('U', 20).
const usbdevfsReset = 'U'<<8 | 20

const (
	// powerOffTime is how long a port stays without power: the capacitors of a camera keep
	// its processor running for some hundred milliseconds.
	powerOffTime = 2 * time.Second
	// deauthorisedTime is how long a device stays without configuration.
	deauthorisedTime = 100 * time.Millisecond
)

// ErrNoSwitch means that nobody can switch the power of a port: its hub has no switch, or
// the kernel is older than 6.0.
var ErrNoSwitch = errors.New("the power of this USB port cannot be switched")

// Reset resets the device at port where it stands: its driver lets go and comes back. It takes
// write access to the device's node in /dev/bus/usb, see ShareCameras.
func Reset(port string) error {
	node, err := machineTree.nodePath(port)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(node, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("reset USB device %s: %w", port, err)
	}
	defer f.Close()
	if err := resetDevice(f); err != nil {
		return fmt.Errorf("reset USB device %s: %w", port, err)
	}
	return nil
}

// resetDevice makes the call. EINTR is tried again: Go's own preemption signal causes it.
func resetDevice(node *os.File) error {
	for {
		err := unix.IoctlSetInt(int(node.Fd()), usbdevfsReset, 0)
		if err != unix.EINTR {
			return err
		}
	}
}

// Reauthorise takes the device's configuration away and gives it back, which begins
// everything anew but its power. It blocks for 0.1 s, less once ctx ends.
func Reauthorise(ctx context.Context, port string) error {
	return machineTree.reauthorise(ctx, port)
}

// CyclePower takes the power of port away for two seconds, less once ctx ends, and blocks
// meanwhile. The error is ErrNoSwitch where nothing can switch it.
func CyclePower(ctx context.Context, port string) error {
	return machineTree.cyclePower(ctx, port)
}

func (t tree) reauthorise(ctx context.Context, port string) error {
	path, err := t.attributePath(port, "authorized")
	if err != nil {
		return err
	}
	if err := toggle(ctx, path, "0", "1", deauthorisedTime); err != nil {
		return fmt.Errorf("authorise USB device %s again: %w", port, err)
	}
	return nil
}

func (t tree) cyclePower(ctx context.Context, port string) error {
	path, err := t.powerPath(port)
	if err != nil {
		return err
	}
	if err := toggle(ctx, path, "1", "0", powerOffTime); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EOPNOTSUPP) {
			err = fmt.Errorf("%w: %w", ErrNoSwitch, err)
		}
		return fmt.Errorf("power of USB port %s: %w", port, err)
	}
	return nil
}

// toggle writes off, waits, and writes on, which it does even if ctx ends meanwhile.
func toggle(ctx context.Context, path, off, on string, wait time.Duration) error {
	if err := writeAttribute(path, off); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
	return writeAttribute(path, on)
}

// writeAttribute writes to an attribute that exists. It never creates a file.
func writeAttribute(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
