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
	MachineVirt = "virt" // QEMU's own: a Pi 4 to an image for Raspberry Pi, 32 bit to one with U-Boot
)

// Machines lists the values of Config.Machine.
func Machines() []string { return []string{MachineVirt} }

// A hardware is QEMU in the shape of a kind of board.
type hardware struct {
	program string
	args    []string
	devices []string // the network's card, the camera's USB host and the disk
	// pi is the model whose boot firmware this package plays; nil: QEMU starts U-Boot, as the boot
	// ROM would, and this package does not read the image.
	pi *pifirmware.Model
	// haltIsReset means that nothing answers to the kernel's reset, so that it halts.
	haltIsReset bool
}

// The kinds. Memory and cores are those of the smallest board, so far as QEMU has
// such a core: it knows no AM335x, and no Cortex-A8 for virt.
func hardware64() hardware {
	pi := pifirmware.Pi4B()
	return hardware{
		program: qemuProgram, pi: &pi,
		args:    []string{"-M", "virt", "-accel", "tcg,thread=multi", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024"},
		devices: virtDevices(),
	}
}

func hardware32() hardware {
	return hardware{
		program: qemuProgram32,
		// Without highmem=off U-Boot finds no PCI, and so no disk. thread=multi is the default,
		// but where -icount asks for one thread, and then must not stand here.
		args:    []string{"-M", "virt,highmem=off", "-accel", "tcg", "-cpu", "cortex-a7", "-smp", "1", "-m", "512"},
		devices: virtDevices(),
	}
}

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
	if bootsByScript(image) {
		return hardware32(), nil
	}
	return hardware64(), nil
}

func bootsByScript(image string) bool {
	f, size, err := openfile.Disk(image, os.O_RDONLY)
	if err != nil {
		return false
	}
	defer f.Close()
	boot, _, err := card.OpenBoot(f, size)
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
