// The partitions. An update writes into them, so none of the numbers can change
// once a card is out.

package card

import (
	"fmt"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

const mib = 1 << 20

const (
	// BootStart is where the first partition begins: U-Boot of the BeagleBone Black
	// ends below sector 3566, within the first 4 MiB.
	BootStart = 4 * mib
	// StateSector is the sector of the disk, of 512 bytes, that U-Boot reads and writes: which slot
	// it starts, and whether another is to be tried once. It lies between the partition table, which
	// ends below sector 34, and the BeagleBone's MLO at sector 256. A sector has no file system
	// around it that a power cut could damage.
	StateSector = 40
	// Two slots of 55 MiB kernel and device trees, boot firmware, and as much again.
	bootSize = 220 * mib
	// RootSize is the most bytes of a root.
	RootSize = 256 * mib
	// PermSize is what /perm has in an image: an update of 400 MB waits there until it is checked.
	// camctl flash gives it what else the card has.
	PermSize = 512 * mib
	// PermMost is up to where /perm can grow: its file system has room for the descriptors of so
	// many groups of blocks.
	PermMost = 32 << 30
	// ImageSize is all of it; a card has more. One MiB for the backup GPT, so that
	// the image is made of whole MiB.
	ImageSize = BootStart + bootSize + 2*RootSize + PermSize + mib

	// BootVolumeID is that of the boot partition's FAT.
	BootVolumeID = 0x5b1ce001
)

// Indexes of the partitions in disk.Table.Partitions. The kernel counts from 1.
const (
	Boot = iota
	RootA
	RootB
	Perm
	Partitions // how many there are
)

// Table gives the partition table of every image: fixed GUIDs, because the kernel's
// command line names them and one commit gives one image.
func Table() (disk.Table, error) {
	ids := make([]disk.GUID, Partitions+1)
	for i := range ids {
		var err error
		if ids[i], err = disk.ParseGUID(PartitionID(i)); err != nil {
			return disk.Table{}, err
		}
	}
	t := disk.Table{Disk: ids[0], Size: ImageSize}
	start := int64(BootStart)
	for i, p := range []struct {
		name string
		kind disk.GUID
		size int64
	}{
		{"boot", disk.TypeEFI, bootSize},
		{"root-a", disk.TypeLinux, RootSize},
		{"root-b", disk.TypeLinux, RootSize},
		{"perm", disk.TypeLinux, PermSize},
	} {
		t.Partitions = append(t.Partitions, disk.Partition{
			Name: p.name, Type: p.kind, ID: ids[i+1], Start: start, Size: p.size,
		})
		start += p.size
	}
	return t, nil
}

// PartitionID is the GUID of partition n, as the kernel counts; 0 is the disk.
func PartitionID(n int) string { return fmt.Sprintf("60c24cc1-f3f9-427a-8199-5b1ce00100%02x", n) }
