// The models whose firmware is told apart by what it selects.

package pifirmware

import (
	"fmt"
	"io/fs"
	"strings"
)

// A Model is a kind of Raspberry Pi to its boot firmware.
type Model struct {
	Name    string
	Filters []string // conditional filters that let lines through
	Tryboot bool     // the flag of a reset selects tryboot.txt

	start   string   // second stage on the boot partition, less ".elf"; "": all of it is in the EEPROM
	rom     string   // first stage on the boot partition; "": it is in the EEPROM
	kernels []string // tried in turn unless kernel= names one
	dtb     string
}

// Pi3B is the model that QEMU has as raspi3b.
func Pi3B() Model {
	return Model{
		Name: "Raspberry Pi 3 Model B", Filters: []string{"pi3"}, rom: "bootcode.bin", start: "start",
		kernels: []string{"kernel8.img"}, dtb: "bcm2710-rpi-3-b.dtb",
	}
}

// Pi3BPlus has a filter more.
func Pi3BPlus() Model {
	m := Pi3B()
	m.Name, m.Filters, m.dtb = "Raspberry Pi 3 Model B Plus", []string{"pi3", "pi3+"}, "bcm2710-rpi-3-b-plus.dtb"
	return m
}

// PiZero2W is no Pi 3 to its filters, though the chip is the same.
func PiZero2W() Model {
	m := Pi3B()
	m.Name, m.Filters, m.dtb = "Raspberry Pi Zero 2 W", []string{"pi0", "pi0w", "pi02"}, "bcm2710-rpi-zero-2-w.dtb"
	return m
}

// Pi4B is the model that QEMU's virt machine stands in for.
func Pi4B() Model {
	return Model{
		Name: "Raspberry Pi 4 Model B", Filters: []string{"pi4"}, Tryboot: true, start: "start4",
		kernels: []string{"kernel8.img"}, dtb: "bcm2711-rpi-4-b.dtb",
	}
}

// Pi400 is a Pi 4 with another device tree.
func Pi400() Model {
	m := Pi4B()
	m.Name, m.Filters, m.dtb = "Raspberry Pi 400", []string{"pi4", "pi400"}, "bcm2711-rpi-400.dtb"
	return m
}

// Pi5 has all of its firmware in the EEPROM.
func Pi5() Model {
	return Model{
		Name: "Raspberry Pi 5 Model B", Filters: []string{"pi5"}, Tryboot: true,
		kernels: []string{"kernel_2712.img", "kernel8.img"}, dtb: "bcm2712-rpi-5-b.dtb",
	}
}

// Models lists them.
func Models() []Model { return []Model{Pi3B(), Pi3BPlus(), PiZero2W(), Pi4B(), Pi400(), Pi5()} }

func (m Model) kernel(boot fs.FS, o options) string {
	if o.kernel != "" {
		return o.kernel
	}
	for _, name := range m.kernels {
		if isFile(boot, prefixed(o.prefix, name)) || isFile(boot, name) {
			return name
		}
	}
	return m.kernels[0]
}

func (m Model) deviceTree(o options) string {
	if o.deviceTree != "" {
		return o.deviceTree
	}
	return m.dtb
}

// checkStage2 looks for what runs before a kernel is looked for. gpu_mem=16 selects the small
// variant, which an image may lack.
func checkStage2(boot fs.FS, m Model, o options) error {
	if m.rom != "" && !isFile(boot, m.rom) {
		return fmt.Errorf("%s is not there: %w", m.rom, ErrNoBoot)
	}
	if m.start == "" {
		return nil
	}
	name := m.start + ".elf"
	switch {
	case o.startFile != "":
		name = o.startFile
	case o.gpuMem == 16 && m.start == "start":
		name = "start_cd.elf"
	case o.gpuMem == 16:
		name = m.start + "cd.elf"
	}
	if !isFile(boot, strings.TrimPrefix(name, "/")) {
		return fmt.Errorf("%s is not there: %w", name, ErrNoBoot)
	}
	return nil
}
