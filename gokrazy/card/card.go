// Package card says what lies where on a card, and in the image that becomes one:
// the partitions, the names of the files on the boot partition, the place of the
// seed. It is the vocabulary of the packages that make an image, read one back,
// flash it and boot it.
//
// It decides nothing and owns nothing; what it opens, the caller closes. Sizes and
// places are in bytes.
package card

import (
	"fmt"
	"io"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// The folders of the boot partition that hold a slot's kernel and what belongs to it. The slot's
// root is RootA or RootB.
const (
	SlotA = "a"
	SlotB = "b"
)

// Files of a slot, below its folder. The kernel's name is board.KernelName.
const (
	CmdlineName   = "cmdline.txt"           // of the kernel; names the slot's root
	InitrdName    = "initrd.bin"            // of a board whose kernel has its storage drivers in modules
	ManifestName  = "manifest.json"         // version, index and parts of the slot: package update
	SignatureName = "manifest.json.minisig" // of the manifest; the image's own slot has none
)

// Files at the top of the boot partition. None of them can be started without a slot.
const (
	ConfigName     = "config.txt"    // of a Pi's boot firmware: names the promoted slot
	TrybootName    = "tryboot.txt"   // the same for a trial: names the other slot
	BootScriptName = "boot.scr"      // of a board with U-Boot: where its distro_bootcmd looks
	UBootName      = "u-boot.bin"    // for a Pi's boot firmware to start, on models whose slots U-Boot chooses
	SeedName       = config.SeedName // see WriteSeed
	ResetName      = "reset"         // the owner's wish for the factory configuration
	LicenceFolder  = "LICENCES"
)

// SourcesName is in each slot and at the top: from which packages kernel and boot firmware come.
const SourcesName = "sources.json"

// OpenBoot opens the boot partition of an image, or of a card of size bytes, and gives
// its place on the disk. The image may be a stranger's: an error wraps disk.ErrDamaged.
func OpenBoot(r io.ReaderAt, size int64) (boot *disk.FAT, start int64, err error) {
	table, err := disk.ReadTable(r, size)
	if err != nil {
		return nil, 0, err
	}
	p := table.Partitions[Boot]
	boot, err = disk.OpenFAT(io.NewSectionReader(r, p.Start, p.Size), p.Size)
	if err != nil {
		return nil, 0, fmt.Errorf("boot partition: %w", err)
	}
	return boot, p.Start, nil
}
