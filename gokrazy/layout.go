// Where everything lies on a card. An update writes into these partitions, so
// none of the numbers can change once a card is out.
package gokrazy

import (
	"fmt"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

const mib = 1 << 20

const (
	// U-Boot of the BeagleBone Black ends below sector 3566, within the first 4 MiB.
	bootStart = 4 * mib
	// Two slots of 55 MiB kernel, device trees and boot firmware, and as much again.
	bootSize = 220 * mib
	rootSize = 256 * mib
	permSize = 128 * mib
	// One MiB for the backup GPT, so that the image is made of whole MiB.
	imageSize = bootStart + bootSize + 2*rootSize + permSize + mib

	partitions = 4
	volumeID   = 0x5b1ce001
)

// Numbers of the partitions, from 0.
const (
	bootPartition = iota
	rootAPartition
	rootBPartition
	permPartition
)

// layout gives the table of every image: fixed GUIDs, because the kernel command
// line names them and one commit gives one image.
func layout() (disk.Table, error) {
	ids := make([]disk.GUID, partitions+1)
	for i := range ids {
		var err error
		if ids[i], err = disk.ParseGUID(partitionID(i)); err != nil {
			return disk.Table{}, err
		}
	}
	t := disk.Table{Disk: ids[0], Size: imageSize}
	start := int64(bootStart)
	for i, p := range []struct {
		name string
		kind disk.GUID
		size int64
	}{
		{"boot", disk.TypeEFI, bootSize},
		{"root-a", disk.TypeLinux, rootSize},
		{"root-b", disk.TypeLinux, rootSize},
		{"perm", disk.TypeLinux, permSize},
	} {
		t.Partitions = append(t.Partitions, disk.Partition{Name: p.name, Type: p.kind, ID: ids[i+1], Start: start, Size: p.size})
		start += p.size
	}
	return t, nil
}

// partitionID is the GUID of partition n, from 1; 0 is the disk.
func partitionID(n int) string { return fmt.Sprintf("60c24cc1-f3f9-427a-8199-5b1ce00100%02x", n) }
