// The board bbb: one armv7 image for BeagleBone Black and Green (TI AM335x) with Debian's
// kernel and U-Boot. Nothing in here was tried on a real board yet:
// docs/beaglebone-black.md lists what only a board can show.

package board

// The values are estimates for one Cortex-A8 at 1 GHz. A frame of 640x480 takes 16.4 million
// instructions at speed -12 and 13.8 million at -16 (qemu-user, own armv7 NEON build): 30 to
// 49 fps at -12, encoder only. The same core unpacks the JPEG, converts, sends and serves USB;
// how much that takes is not known. Hence half the usual rate: the encoder then needs 26 to
// 42 % of the core.
const (
	estimateBone = "36 to 58 fps on its one core, encoder only; computed, not measured"
	sourceBone   = "size, rate, speed, bit rate and what USB carries are estimates " +
		"(encoder at -16: 13.8 million instructions a frame); names: device trees of the kernel"

	boneFPS = 15
	// boneBitrate is for half the frames of vgaBitrate. Each is a little larger, because it
	// differs more from the one before.
	boneBitrate = 400_000
	// boneRawRate is one isochronous packet a microframe: 1024 bytes, 8000 times a second.
	// musb is not trusted with more than one. So 640x480@15 comes as MJPG (YUYV has 9.2 MB/s),
	// 320x240@30 as YUYV (4.6 MB/s).
	boneRawRate = 1024 * 8000
	boneSpeed   = -16 // 0.84 of the instructions of -12, the picture within 0.2 dB
)

func beagleBone() Board {
	return Board{
		Name:    "bbb",
		About:   "BeagleBone Black and Green (AM335x, 32 bit)",
		Models:  boneModels(),
		Arch:    "armv7",
		Debian:  "armhf",
		Machine: "EM_ARM",

		Kernel: Origin{
			Package: "linux-image-*-armmp", // Debian counts the kernel's ABI in the name
			Source: "Debian source package linux VERSION: apt-get source linux=VERSION, " +
				"or snapshot.debian.org/package/linux/VERSION",
		},
		BootFirmware: Origin{
			Package: "u-boot-omap",
			Source: "Debian source package u-boot VERSION: apt-get source u-boot=VERSION, " +
				"or snapshot.debian.org/package/u-boot/VERSION",
		},

		KernelFiles: []string{"am335x-boneblack.dtb", "am335x-bonegreen.dtb"},
		SlotFiles: []string{
			KernelName, "cmdline.txt", "sources.json", "initrd.bin", "am335x-boneblack.dtb", "am335x-bonegreen.dtb",
		},
		Loader: UBoot,
		// The boot ROM looks for MLO at 128 KiB, MLO for u-boot.img at 384 KiB: README.Debian
		// of u-boot-omap, and SYS_MMCSD_RAW_MODE_U_BOOT_SECTOR=0x300 in its configuration.
		// The build is am335x_evm's, the only one that has the Green's device tree too.
		Raw:         []Raw{{Name: "MLO", Sector: 256}, {Name: "u-boot.img", Sector: 768, UBoot: true}},
		Script:      boneScript,
		BootTargets: "mmc0", // a card; mmc1 would be the eMMC
		// The first is the only serial port of QEMU's virt machine: with it the image that is
		// tested is the image that ships.
		Console: []string{"ttyAMA0", "ttyO0,115200"},

		// Debian's kernel tests its ciphers at each start: 1.9 of the 2.7 s before the initramfs
		// in QEMU. The board uses none of them.
		Arguments: []string{"cryptomgr.notests"},

		EarlyModules: []string{
			"omap_wdt", // U-Boot left the watchdog running, with 60 s
			// A watchdog in software, for machines without that one (QEMU's): /dev/watchdog is the
			// first that is there. A kernel that hangs outruns it.
			"softdog",
			"sdhci-omap",               // the card
			"virtio_pci", "virtio_blk", // and QEMU's
			"squashfs", "crc32c_generic", "ext4", "vfat", "nls_cp437", "nls_ascii",
		},
		LateModules: []string{
			// Ethernet, its MDIO bus and PHY. Without phy-gmii-sel, which selects the PHY's mode,
			// the switch waits for ever; modprobe does not know that it needs it.
			"phy-gmii-sel", "davinci_mdio", "smsc", "ti_cpsw_new", "virtio_net",
			"omap-rng",                                      // TLS needs random numbers
			"cppi41", "phy-am335x", "musb_dsps", "xhci-pci", // USB and its DMA
			"uvcvideo",
		},
	}
}

func boneModels() []Model {
	model := func(name, match string) Model {
		return Model{
			Name: name, Match: match, Trial: UBootTry,
			Width: 640, Height: 480, FPS: boneFPS, RawRate: boneRawRate, Bitrate: boneBitrate,
			Speed: boneSpeed, Threads: 1, Estimate: estimateBone, Source: sourceBone,
		}
	}
	return []Model{
		model("BeagleBone Black", "TI AM335x BeagleBone Black"),
		model("BeagleBone Green", "TI AM335x BeagleBone Green"),
	}
}
