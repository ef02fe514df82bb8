// The device tree that the played boot firmware hands to the kernel.

package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/krazycam/krazycam/gokrazy/vm/fdt"
	"github.com/krazycam/krazycam/gokrazy/vm/pifirmware"
)

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
)

// piTree writes QEMU's own device tree, with what the boot firmware of a Pi 4 adds, to a file: model,
// serial number and, below /chosen/bootloader, whether this is a trial. The devices are QEMU's.
func (m *Machine) piTree(ctx context.Context, s pifirmware.Selection) (file string, err error) {
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
	for _, cell := range []struct {
		name  string
		value uint32
	}{
		{"tryboot", tryboot}, {"partition", bootPartition}, {"boot-mode", bootModeSD},
		{"build-timestamp", bootloaderTime},
	} {
		loader.Set(cell.name, fdt.Cell(cell.value))
	}
	file = filepath.Join(m.folder, "board.dtb")
	return file, os.WriteFile(file, tree.Bytes(), 0o600)
}

func (m *Machine) serial() string {
	if m.config.Serial != "" {
		return m.config.Serial
	}
	return defaultSerial
}
