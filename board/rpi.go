// The board rpi: one arm64 image for Raspberry Pi 3, 4, 5 and Zero 2 W with the
// stock kernel and boot firmware of gokrazy.

package board

// Estimated pictures a second at 640x480 with speed -12 on one core, encoder
// only: 15.5 million instructions a frame (qemu-user, own arm64 NEON build)
// against each core's clock and width. Nobody measured them.
const (
	estimatePi3 = "54 to 77 fps on one core, encoder only; computed, not measured"
	estimatePi4 = "115 to 165 fps on one core, encoder only; computed, not measured"
	estimatePi5 = "faster than a Pi 4; not computed, not measured"
	estimatePi0 = "a Pi 3's core at 1.0 instead of 1.2 GHz: 45 to 64 fps; computed, not measured"

	// One thread at VGA: libvpx's VP8 threads wait busily, and with a second one the p99 of a
	// frame rose from 8 ms to between 70 and 100 ms on a busy machine.
	sourceThreads = "one thread at VGA: measured on amd64, libvpx 1.12; names: device trees of the kernel"
)

func raspberryPi() Board {
	return Board{
		Name:    "rpi",
		About:   "Raspberry Pi 3, 4, 5 and Zero 2 W (64 bit)",
		Models:  piModels(),
		Arch:    "arm64",
		Debian:  "arm64",
		Machine: "EM_AARCH64",

		Kernel: Origin{
			Module: "github.com/gokrazy/kernel.rpi",
			Source: "github.com/gokrazy/kernel.rpi@VERSION, folder _build: upstream-url.txt names the tar file " +
				"of github.com/raspberrypi/linux, beside it patches and configuration",
		},
		BootFirmware: Origin{
			Module: "github.com/gokrazy/firmware",
			Source: "none is published: Broadcom's binaries, from github.com/raspberrypi/firmware " +
				"by way of github.com/gokrazy/firmware@VERSION",
		},

		UBoot: Origin{
			Package: "u-boot-rpi",
			Source: "Debian source package u-boot VERSION: apt-get source u-boot=VERSION, " +
				"or snapshot.debian.org/package/u-boot/VERSION",
		},

		Loader:      PiFirmware,
		KernelFiles: []string{"bcm2711-*.dtb", "bcm2712*.dtb", "overlays/*.dtbo", "overlays/*.dtb"},
		FirmwareFiles: []string{
			// The plain variants, and the small ones (cd) which the boot firmware wants
			// once an owner writes gpu_mem=16; x and db are for camera modules and
			// debugging. The Pi 5 has all of this in its EEPROM, which no image touches.
			"bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat",
			"start_cd.elf", "fixup_cd.dat", "start4cd.elf", "fixup4cd.dat",
		},
		// Of Pi 3 and Zero 2 W. The boot firmware mends the tree and U-Boot passes it on.
		DeviceTrees: []string{"bcm2710-*.dtb", "overlays/disable-bt.dtbo", "overlays/overlay_map.dtb"},
		SlotFiles: []string{
			KernelName, "cmdline.txt", "sources.json",
			"bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb",
			"bcm2712-rpi-5-b.dtb", "bcm2712d0-rpi-5-b.dtb", "bcm2712-rpi-500.dtb",
			// Without the README the boot firmware takes no overlay from the slot's folder.
			"overlays/README", "overlays/disable-bt.dtbo", "overlays/overlay_map.dtb",
		},
		Config:      piConfig,
		Script:      piScript,
		BootTargets: "mmc0 mmc1 mmc2", // the card is one of them, by model
		Console:     []string{"tty1", "serial0,115200"},

		Modules:     UVCModules(),
		MoreModules: []string{"kernel/drivers/hwmon/pwm-fan.ko"}, // the Pi 5's fan
	}
}

// piModels: a Zero 2 W takes the tryboot flag and ignores it (reported by an owner), nobody is
// known to have tried a Pi 3; U-Boot decides on both. The others try a slot by tryboot, which
// needs an EEPROM of 2023 or later on a Pi 4.
func piModels() []Model {
	model := func(name, match string, trial Trial, estimate string) Model {
		return Model{
			Name: name, Match: match, Trial: trial, Width: 640, Height: 480, FPS: 30, Bitrate: vgaBitrate,
			Speed: fixedSpeed, Threads: 1, Estimate: estimate, Source: sourceThreads,
		}
	}
	return []Model{
		model("Raspberry Pi 3 A+", "Raspberry Pi 3 Model A Plus", UBootTry, estimatePi3),
		model("Raspberry Pi 3 B", "Raspberry Pi 3 Model B", UBootTry, estimatePi3),
		model("Raspberry Pi 3 B+", "Raspberry Pi 3 Model B Plus", UBootTry, estimatePi3),
		model("Raspberry Pi 4 B", "Raspberry Pi 4 Model B", Tryboot, estimatePi4),
		model("Raspberry Pi 400", "Raspberry Pi 400", Tryboot, estimatePi4),
		model("Raspberry Pi 5", "Raspberry Pi 5", Tryboot, estimatePi5),
		model("Raspberry Pi 500", "Raspberry Pi 500", Tryboot, estimatePi5),
		model("Raspberry Pi Zero 2 W", "Raspberry Pi Zero 2", UBootTry, estimatePi0),
	}
}

// piConfig is read by the boot firmware. Spec: Raspberry Pi documentation, "config.txt".
//
// It is one sector of a card, padded with newlines, and so is tryboot.txt, the same text with the other
// slot: a sector is switched whole or not at all. There is no kernel line that counts for all models:
// a model that is not named here does not start, instead of starting what was never tried on it.
//
// Pi 4 and 5 take kernel, device tree, overlays and command line from the slot's folder. Pi 3 and Zero
// 2 W start U-Boot, which chooses the slot. kernel_watchdog_timeout resets a Pi whose kernel does not
// take the watchdog over; the hardware counts to 16 s at most, and what a model's firmware does not
// know it leaves out.
//
// With Bluetooth off, serial0 is the full PL011 UART on pins 8 and 10 of every model. With
// Bluetooth on, Pi 3 and Zero 2 W have the mini UART there, whose rate depends on the GPU's
// clock; enable_uart then fixes that clock at 250 MHz.
const piConfig = `# krazycam: 512 bytes, and no more
arm_64bit=1
enable_uart=1
disable_splash=1
[pi4]
os_prefix=` + SlotMark + `/
kernel=vmlinuz
kernel_watchdog_timeout=15
[pi5]
os_prefix=` + SlotMark + `/
kernel=vmlinuz
kernel_watchdog_timeout=15
[pi3]
kernel=u-boot.bin
[pi02]
kernel=u-boot.bin
[all]
dtoverlay=disable-bt
`
