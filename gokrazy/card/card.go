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

// Files on the boot partition. The kernel's name is board.KernelName.
const (
	CmdlineName    = "cmdline.txt"   // of the kernel; gokrazy changes it to try and to switch roots
	SeedName       = config.SeedName // see WriteSeed
	SourcesName    = "sources.json"  // from which packages kernel and boot firmware come
	BootScriptName = "boot.scr"      // of a board with U-Boot: where its distro_bootcmd looks
	InitrdName     = "initrd.bin"    // of a board whose kernel has its storage drivers in modules
	LicenceFolder  = "LICENCES"
)

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
