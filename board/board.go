// Package board says which boards there are and what differs between them: data with a source
// beside each value, and the detection of the model that a program runs on. It is vocabulary:
// it imports nothing of ours, opens no file, starts nothing. Rates are in bit/s, sizes in
// pixels and bytes.
//
// A value marked as an estimate was computed, not measured on that model.
package board

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// SourceUser is the user and group id of camsource on a board: any that is not root's and
	// that nobody else on the board has.
	SourceUser = 2001
	// WebUser is the user and group id of camweb on a board.
	WebUser = 2003
	// WebKeyFile is the file of camweb's folder on /perm with the board's own TLS key: whoever clears that
	// folder leaves it, since owners know the board by it.
	WebKeyFile = "tls.pem"
	// VideoGroup owns /dev/video* on a board; 44 is Debian's number for it.
	VideoGroup = 44
	// RestartRequest is the file by which camsource asks init to restart the board, because
	// nothing else brings the camera back. It is gone after a restart.
	RestartRequest = "/run/camsource/restart"
	// ModuleLoader is the environment variable by which an initramfs tells the root's
	// init which process still loads kernel modules; 0 if none could be started.
	ModuleLoader = "KRAZYCAM_MODULE_LOADER"
)

// ErrUnknown is wrapped by ByName's error.
var ErrUnknown = errors.New("unknown board")

// A Board is what one image is made for.
type Board struct {
	Name   string // as typed after --board
	About  string // for a person
	Models []Model

	Arch    string // as scripts/build calls it, and the folder below out/ that holds the programs
	Debian  string // Debian's name for the same, in scripts/pins
	Machine string // of the ELF header, in the words of debug/elf

	Kernel       Origin // serves the kernel, device trees, modules
	BootFirmware Origin // serves what runs before the kernel
	// UBoot serves u-boot.bin, which the boot firmware of some models starts to choose the slot; the
	// zero Origin where no model has that. A board whose boot firmware is U-Boot needs none.
	UBoot Origin

	// Patterns (path.Match) of what else goes to the boot partition.
	KernelFiles   []string // of the kernel's: into each slot
	FirmwareFiles []string // of the boot firmware's: beside the slots
	// DeviceTrees are the kernel's files that the boot firmware itself reads: beside the slots. They
	// count as boot firmware, because they are there once.
	DeviceTrees []string

	Loader      Loader // what runs before the kernel, and so what it wants to find
	Raw         []Raw  // files of the boot firmware that lie outside any partition
	Config      string // config.txt with SlotMark in the place of the slot; "" for UBoot
	Script      string // boot.scr as text, for U-Boot
	BootTargets string // what U-Boot looks for boot.scr on, in its own words

	// SlotFiles are names below a slot's folder, the kernel's among them. A slot that lacks one of
	// them cannot start every model of the board: it is refused before anything points to it. The
	// manifest and its signature, which every slot has, are not listed.
	SlotFiles []string
	Console   []string // console= arguments of the kernel; the last that the machine has is /dev/console

	Arguments []string // more arguments of the kernel

	// EarlyModules are loaded by the initramfs before it mounts the root, LateModules after
	// it. Both lists leave out the modules that these need. If both are empty there is no
	// initramfs.
	EarlyModules, LateModules []string
	// Modules are in the root and loaded in this order by init, as paths below
	// /lib/modules/RELEASE.
	Modules []string
	// MoreModules go into the root, too; gokrazy itself loads them.
	MoreModules []string
}

// SlotMark stands in Board.Config for the name of the slot that is to start.
const SlotMark = "SLOT"

// KernelName is the name of every board's kernel, in the folder that it comes from
// and on the boot partition.
const KernelName = "vmlinuz"

// An Origin says where a part of the image comes from: one of the two is set.
type Origin struct {
	Module  string // Go module, of the version in go.mod
	Package string // pattern (path.Match) of the Debian package's name in scripts/pins

	// Source is where the corresponding source is, with VERSION for the version of the
	// module or the package and RELEASE for the kernel's.
	Source string
}

// A Loader is what runs before the kernel.
type Loader string

// The loaders there are.
const (
	PiFirmware Loader = "Raspberry Pi boot firmware" // reads config.txt, starts the kernel or U-Boot
	UBoot      Loader = "U-Boot"                     // runs boot.scr from the boot partition
)

// A Raw is a file whose place on the card is built into the boot ROM or into the loader before
// it.
type Raw struct {
	Name   string // in the folder of the boot firmware
	Sector int64  // of 512 bytes
	UBoot  bool   // it is the U-Boot that runs boot.scr, and is changed to start unattended
}

// A Model is one kind of board that an image runs on, with the values of settings that its
// owner did not choose.
type Model struct {
	Name     string // for a person
	Match    string // prefix of /proc/device-tree/model; "" for the fallback
	Trial    Trial  // how a slot is tried; "": not known, and so never
	Width    int
	Height   int
	FPS      int
	RawRate  int    // bytes/s of uncompressed video that USB is trusted with, above it MJPG; 0: as for any USB 2
	Bitrate  int    // bit/s
	Speed    int    // libvpx cpu-used; negative: fixed, -12 is the fastest that still pays
	Threads  int    // of the encoder
	Estimate string // what the speed of this model rests on, if nobody measured it
	Source   string // where the values come from
}

// A Trial is how a model starts a slot once, such that every other way to start again, a power
// cut or a watchdog, leads back to the slot that was promoted.
type Trial string

// The ways there are.
const (
	// Tryboot: reboot(2) with the argument "0 tryboot" makes the boot firmware read tryboot.txt
	// instead of config.txt, once. Source: Raspberry Pi documentation, "tryboot".
	Tryboot Trial = "tryboot"
	// UBootTry: boot.scr clears a request in the state sector before it starts the slot that the
	// request names. A plain restart is enough.
	UBootTry Trial = "u-boot"
)

// All lists the boards in the order a person wants to read them.
func All() []Board { return []Board{raspberryPi(), beagleBone()} }

// ByName finds a board; the error, an ErrUnknown, lists those there are.
func ByName(name string) (Board, error) {
	var names []string
	for _, b := range All() {
		if b.Name == name {
			return b, nil
		}
		names = append(names, b.Name)
	}
	return Board{}, fmt.Errorf("%w %q: there is %s", ErrUnknown, name, strings.Join(names, ", "))
}

// DetectModel finds the model by the text of /proc/device-tree/model, which ends
// in a zero byte and names a revision: "Raspberry Pi 4 Model B Rev 1.4". A text
// that no board has, such as that of a virtual machine, gives the fallback.
func DetectModel(deviceTreeModel string) Model {
	text := strings.TrimRight(deviceTreeModel, "\x00\n ")
	best := fallback()
	for _, b := range All() {
		for _, m := range b.Models {
			// The longest match wins: "…3 Model B Plus" begins with "…3 Model B".
			if strings.HasPrefix(text, m.Match) && len(m.Match) > len(best.Match) {
				best = m
			}
		}
	}
	return best
}

// UVCModules are the kernel modules of a USB webcam in load order, as paths below
// /lib/modules/RELEASE. They are the same for all boards: a kernel that has one
// built in lists it in modules.builtin.
func UVCModules() []string {
	const media = "kernel/drivers/media/"
	return []string{
		media + "common/videobuf2/videobuf2-common.ko",
		media + "common/videobuf2/videobuf2-v4l2.ko",
		media + "common/uvc.ko",
		media + "common/videobuf2/videobuf2-memops.ko",
		media + "common/videobuf2/videobuf2-vmalloc.ko",
		media + "usb/uvc/uvcvideo.ko",
	}
}

// fallback serves what no table knows: VGA at the rate of nearly every webcam,
// one thread, the fastest speed. QEMU's virt machine gets this.
func fallback() Model {
	return Model{
		Name: "unknown", Width: 640, Height: 480, FPS: 30, Bitrate: vgaBitrate, Speed: fixedSpeed, Threads: 1,
		Estimate: "nothing is known of this model",
		Source:   "the most careful values of all models",
	}
}

const (
	// vgaBitrate gave 43.65 dB PSNR-Y for a talking head at 640x480@30 with
	// vpxenc --rt --cpu-used=-12 (libvpx 1.12, amd64).
	vgaBitrate = 600_000
	// fixedSpeed: from -4 to -16 the picture is the same within 0.2 dB, and -12
	// needs less than half of the instructions of -4; below -12 speed buys only
	// 1.16 times (libvpx 1.12, arm64 and armv7 under qemu-user).
	fixedSpeed = -12
)
