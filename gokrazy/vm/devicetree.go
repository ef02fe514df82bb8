// The device tree that the played boot firmware hands to the kernel.

package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"

	"github.com/krazycam/krazycam/gokrazy/fdt"
	"github.com/krazycam/krazycam/gokrazy/vm/pifirmware"
)

// disableBT is the one overlay that is played.
const disableBT = "disable-bt.dtbo"

const (
	// piModel is what the kernel of a Pi 4 says of it.
	piModel = "Raspberry Pi 4 Model B Rev 1.4"
	// defaultSerial is in the shape of a Pi 4's.
	defaultSerial = "10000000c0ffee01"
	// bootPartition and bootModeSD are what the boot firmware says of where it found the kernel.
	bootPartition = 1
	bootModeSD    = 1
	// bootloaderTime is 11 January 2023: the oldest boot firmware of a Pi 4 that is trusted with a trial.
	bootloaderTime = 1673395200
	// rstsPowerOn and rstsReset are the bits HADPOR and HADWRF of the register PM_RSTS, which says why the board
	// starts; a plain restart is made by the watchdog, too, and the first bit stays.
	rstsPowerOn = 0x1000
	rstsReset   = 0x1020
)

// virtTree writes QEMU's own device tree, with what the boot firmware of a Pi 4 adds, to a file: model,
// serial number and, below /chosen/bootloader, whether this is a trial and why the board starts. The
// devices are QEMU's.
func (m *Machine) virtTree(ctx context.Context, s pifirmware.Selection, afterReset bool) (file string, err error) {
	plain := filepath.Join(m.folder, "qemu.dtb")
	args := append(m.qemuArgs(bootFiles{}), "-machine", "dumpdtb="+plain)
	if out, err := exec.CommandContext(ctx, m.program, args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("device tree of %s: %w: %s", m.program, err, out)
	}
	b, err := os.ReadFile(plain)
	if err != nil {
		return "", fmt.Errorf("device tree of %s: %w", m.program, err)
	}
	tree, err := fdt.Parse(b)
	if err != nil {
		return "", fmt.Errorf("device tree of %s: %w", m.program, err)
	}
	tree.Root.Set("model", fdt.Text(piModel))
	tree.Root.Set("serial-number", fdt.Text(m.serial()))
	loader := tree.Root.Child("chosen").Child("bootloader")
	tryboot := uint32(0)
	if s.Tryboot {
		tryboot = 1
	}
	rsts := uint32(rstsPowerOn)
	if afterReset {
		rsts = rstsReset
	}
	for _, cell := range []struct {
		name  string
		value uint32
	}{
		{"tryboot", tryboot}, {"partition", bootPartition}, {"boot-mode", bootModeSD},
		{"build-timestamp", bootloaderTime}, {"rsts", rsts},
	} {
		loader.Set(cell.name, fdt.Cell(cell.value))
	}
	file = filepath.Join(m.folder, "board.dtb")
	return file, os.WriteFile(file, tree.Bytes(), 0o600)
}

// boardTree writes the image's device tree for QEMU's Pi 3, with what the boot firmware adds, to a file.
// Left out is what QEMU lacks or plays wrongly: Bluetooth, and the watchdog, which resets the board as
// soon as it is armed.
func (m *Machine) boardTree(from string, s pifirmware.Selection) (file string, err error) {
	b, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}
	tree, err := fdt.Parse(b)
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.DTB, err)
	}
	tree.Root.Set("model", fdt.Text(m.hardware.pi.Name+" Rev 1.2"))
	tree.Root.Set("serial-number", fdt.Text(m.serial()))
	for _, path := range []string{
		pl011 + "/bluetooth", miniUART + "/bluetooth", "/soc/watchdog@7e100000",
	} {
		if err := tree.Remove(path); err != nil {
			return "", fmt.Errorf("%s: %w", s.DTB, err)
		}
	}
	if disablesBluetooth(s) {
		aliases := tree.Root.Child("aliases")
		aliases.Set("serial0", fdt.Text(pl011))
		aliases.Set("serial1", fdt.Text(miniUART))
	}
	file = filepath.Join(m.folder, "board.dtb")
	return file, os.WriteFile(file, tree.Bytes(), 0o600)
}

// The serial ports of a Pi 3.
const (
	pl011    = "/soc/serial@7e201000"
	miniUART = "/soc/serial@7e215040"
)

// disablesBluetooth says whether the overlay is applied that gives the PL011 back to the console.
func disablesBluetooth(s pifirmware.Selection) bool {
	return slices.ContainsFunc(s.Overlays, func(name string) bool { return path.Base(name) == disableBT })
}

func (m *Machine) serial() string {
	if m.config.Serial != "" {
		return m.config.Serial
	}
	return defaultSerial
}
