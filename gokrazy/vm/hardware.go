// Which machine of QEMU plays which board.

package vm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
)

// ErrNoUBoot means that the boot loader of the virtual machine is not installed; the
// message says what to install.
var ErrNoUBoot = errors.New("U-Boot for QEMU is not installed")

// UBootFile is where Debian's package u-boot-qemu has the build for QEMU's 32-bit virt
// machine. It is of the same source as the board's own.
const UBootFile = "/usr/lib/u-boot/qemu_arm/u-boot.bin"

// A hardware is QEMU in the shape of a kind of board.
type hardware struct {
	program string
	args    []string
	// uBoot means that the image has a script for U-Boot: QEMU starts U-Boot, as the boot
	// ROM would, and this package does not read the image.
	uBoot bool
}

// Both kinds. Memory and cores are those of the smallest board, so far as QEMU has
// such a core: it knows no AM335x, and no Cortex-A8 for virt.
func hardware64() hardware {
	return hardware{
		program: qemuProgram,
		args:    []string{"-M", "virt", "-accel", "tcg,thread=multi", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024"},
	}
}

func hardware32() hardware {
	return hardware{
		program: qemuProgram32, uBoot: true,
		// Without highmem=off U-Boot finds no PCI, and so no disk. thread=multi is the default,
		// but where -icount asks for one thread, and then must not stand here.
		args: []string{"-M", "virt,highmem=off", "-accel", "tcg", "-cpu", "cortex-a7", "-smp", "1", "-m", "512"},
	}
}

// hardwareFor takes the kind that the image was made for. An image that cannot be read
// gets any: what is wrong with it is said when it is booted.
func hardwareFor(image string) hardware {
	f, size, err := openfile.Disk(image, os.O_RDONLY)
	if err != nil {
		return hardware64()
	}
	defer f.Close()
	boot, _, err := card.OpenBoot(f, size)
	if err != nil {
		return hardware64()
	}
	if _, err := fs.Stat(boot, card.BootScriptName); err != nil {
		return hardware64()
	}
	return hardware32()
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
