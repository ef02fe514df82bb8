// Which machine of QEMU plays which board.

package vm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/vm/pifirmware"
)

// ErrNoUBoot means that the boot loader of the virtual machine is not installed; the
// message says what to install.
var ErrNoUBoot = errors.New("U-Boot for QEMU is not installed")

// ErrMachine means that Config.Machine and the image do not fit together.
var ErrMachine = errors.New("no such machine")

// UBootFile is where Debian's package u-boot-qemu has the build for QEMU's 32-bit virt
// machine. It is of the same source as the board's own.
const UBootFile = "/usr/lib/u-boot/qemu_arm/u-boot.bin"

// Values of Config.Machine.
const (
	MachineVirt = "virt"    // QEMU's own: a Pi 4 to an image for Raspberry Pi, 32 bit to one with U-Boot
	MachinePi3  = "raspi3b" // a Pi 3 with its own devices and device tree: slow, and not for figures
)

// Machines lists the values of Config.Machine.
func Machines() []string { return []string{MachineVirt, MachinePi3} }

// A hardware is QEMU in the shape of a kind of board.
type hardware struct {
	program string
	args    []string
	devices []string // the network's card, the camera's USB host and the disk
	drive   string   // of the disk, without its file
	// pi is the model whose boot firmware this package plays; nil: QEMU starts U-Boot, as the boot
	// ROM would, and this package does not read the image.
	pi *pifirmware.Model
	// boardTree: the guest gets the device tree of the image instead of QEMU's.
	boardTree bool
	// haltIsReset means that nothing answers to the kernel's reset, so that it halts.
	haltIsReset bool
	// powerOfTwo: the disk must have such a size.
	powerOfTwo bool
}

// The kinds. Memory and cores are those of the smallest board, so far as QEMU has
// such a core: it knows no AM335x, and no Cortex-A8 for virt.
func hardware64() hardware {
	pi := pifirmware.Pi4B()
	return hardware{
		program: qemuProgram, pi: &pi,
		args:    []string{"-M", "virt", "-accel", "tcg,thread=multi", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024"},
		devices: virtDevices(), drive: virtDrive,
	}
}

func hardware32() hardware {
	return hardware{
		program: qemuProgram32,
		// Without highmem=off U-Boot finds no PCI, and so no disk. thread=multi is the default,
		// but where -icount asks for one thread, and then must not stand here.
		args:    []string{"-M", "virt,highmem=off", "-accel", "tcg", "-cpu", "cortex-a7", "-smp", "1", "-m", "512"},
		devices: virtDevices(), drive: virtDrive,
	}
}

// hardwarePi3 is QEMU's Raspberry Pi 3 B. Its watchdog resets the board as soon as it is armed, so the
// guest does not get to see it (devicetree.go), and can neither be reset by it nor reset itself. Without
// mac= QEMU 7.2 gives the network an address that the kernel takes for a cable between two machines,
// and calls it usb0.
func hardwarePi3() hardware {
	pi := pifirmware.Pi3B()
	return hardware{
		program: qemuProgram, pi: &pi, boardTree: true, haltIsReset: true, powerOfTwo: true,
		args:    []string{"-M", "raspi3b"},
		devices: []string{"-device", "usb-net,netdev=n,mac=00:16:3e:00:00:01"},
		drive:   "if=sd,format=raw",
	}
}

const virtDrive = "if=none,id=card,format=raw"

func virtDevices() []string {
	return []string{"-device", "virtio-net-pci,netdev=n", "-device", "qemu-xhci,id=xhci",
		"-device", "virtio-blk-pci,drive=card"}
}

// hardwareFor takes the kind that the image was made for: config.txt is what a Pi's boot firmware
// reads, boot.scr alone is of a board with U-Boot. An image that cannot be read gets any: what is
// wrong with it is said when it is booted.
func hardwareFor(image, machine string) (hardware, error) {
	if machine != "" && !slices.Contains(Machines(), machine) {
		return hardware{}, fmt.Errorf("%w: %q: there is %s", ErrMachine, machine, strings.Join(Machines(), ", "))
	}
	switch script := bootsByScript(image); {
	case script && machine == MachinePi3:
		return hardware{}, fmt.Errorf("%w: %s is no image for it: %s", ErrMachine, machine, image)
	case script:
		return hardware32(), nil
	case machine == MachinePi3:
		return hardwarePi3(), nil
	}
	return hardware64(), nil
}

func bootsByScript(image string) bool {
	f, size, err := openfile.Disk(image, os.O_RDONLY)
	if err != nil {
		return false
	}
	defer f.Close()
	boot, err := pifirmware.OpenBoot(f, size)
	if err != nil {
		return false
	}
	_, err = fs.Stat(boot, card.ConfigName)
	_, scriptErr := fs.Stat(boot, card.BootScriptName)
	return err != nil && scriptErr == nil
}

// uBootPath gives the file that QEMU starts.
func uBootPath(own string) (string, error) {
	if own == "" {
		own = UBootFile
	}
	if _, err := os.Stat(own); err != nil {
		return "", fmt.Errorf("%w: %w; on Debian: apt install u-boot-qemu; "+
			"else take qemu_arm/u-boot.bin out of that package and name it with --u-boot", ErrNoUBoot, err)
	}
	return own, nil
}
