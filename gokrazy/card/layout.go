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
	// Two slots of 55 MiB kernel, device trees and boot firmware, and as much again.
	bootSize = 220 * mib
	// RootSize is the most bytes of a root.
	RootSize = 256 * mib
	// PermSize is what /perm has.
	PermSize = 128 * mib
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
