package drive

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// fakeSys has a USB card reader sdb with a partition, a built-in disk sda, a card
// in a built-in reader and a soldered eMMC.
func fakeSys() fstest.MapFS {
	sys := fstest.MapFS{}
	add := func(number, folder, removable string, partition bool) {
		sys["dev/block/"+number] = &fstest.MapFile{Data: []byte("../../" + folder), Mode: fs.ModeSymlink | 0o777}
		sys[folder+"/dev"] = &fstest.MapFile{Data: []byte(number + "\n")}
		if partition {
			sys[folder+"/partition"] = &fstest.MapFile{Data: []byte("1\n")}
		} else {
			sys[folder+"/removable"] = &fstest.MapFile{Data: []byte(removable + "\n")}
		}
	}
	add("8:0", "devices/pci0/ata1/block/sda", "0", false)
	add("8:1", "devices/pci0/ata1/block/sda/sda1", "", true)
	add("8:16", "devices/pci0/usb1/block/sdb", "1", false)
	add("8:17", "devices/pci0/usb1/block/sdb/sdb1", "", true)
	add("8:64", "devices/pci0/ata2/block/sde", "0", false)
	sys["devices/pci0/ata2/block/sde/holders/md0/dev"] = &fstest.MapFile{Data: []byte("9:0\n")}
	add("8:96", "devices/pci0/usb3/block/sdg", "1", false)
	sys["devices/pci0/usb3/block/sdg/ro"] = &fstest.MapFile{Data: []byte("1\n")}
	add("179:0", "devices/platform/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0", "0", false)
	sys["devices/platform/mmc_host/mmc0/mmc0:aaaa/type"] = &fstest.MapFile{Data: []byte("SD\n")}
	add("179:8", "devices/platform/mmc_host/mmc1/mmc1:0001/block/mmcblk1", "0", false)
	sys["devices/platform/mmc_host/mmc1/mmc1:0001/type"] = &fstest.MapFile{Data: []byte("MMC\n")}
	return sys
}

// errMounted stands for ErrInUse with the command that helps.
var errMounted = errors.New("mounted")

func TestCheckBlockKnowsWhatIsACard(t *testing.T) {
	const rootOnSDA = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	const cardMounted = rootOnSDA + "90 22 8:17 / /media/card rw - vfat /dev/sdb1 rw\n"
	const cardIn = rootOnSDA + "90 22 8:17 / %s rw - vfat /dev/sdb1 rw\n"
	const piOnCard = "22 1 8:17 / /boot/firmware rw - vfat /dev/sdb1 rw\n"
	for _, c := range []struct {
		name   string
		mounts string
		device string
		holder string // the disk that the image lies on
		sure   bool
		want   error
	}{
		{"a card in a USB reader is taken", rootOnSDA, "8:16", "8:1", false, nil},
		{"a card in a built-in reader is taken", rootOnSDA, "179:0", "8:1", false, nil},
		{"a soldered eMMC is not", rootOnSDA, "179:8", "8:1", false, ErrNotRemovable},
		{"a soldered eMMC is taken if sure", rootOnSDA, "179:8", "8:1", true, nil},
		{"a mounted card is not", cardMounted, "8:16", "8:1", false, ErrInUse},
		{"a mounted card is not even if sure", cardMounted, "8:16", "8:1", true, ErrInUse},
		{"a card below a user's folder is mounted", fmt.Sprintf(cardIn, "/home/ann/card"), "8:16", "8:1", true,
			errMounted},
		{"a card below /var is mounted", fmt.Sprintf(cardIn, "/var/tmp/card"), "8:16", "8:1", true, errMounted},
		{"a disk with a user's folder is not", fmt.Sprintf(cardIn, "/home/ann"), "8:16", "8:1", true, ErrSystem},
		{"a disk with /var/lib is not", fmt.Sprintf(cardIn, "/var/lib"), "8:16", "8:1", true, ErrSystem},
		{"a locked card is not", rootOnSDA, "8:96", "8:1", true, ErrNotACard},
		{"the disk of the running system is not even if sure", rootOnSDA, "8:0", "8:1", true, ErrSystem},
		{"a card that a Raspberry Pi runs from is not even if sure", piOnCard, "8:16", "8:1", true, ErrSystem},
		{"a disk that is part of a RAID is not even if sure", "", "8:64", "8:1", true, ErrInUse},
		{"a built-in disk is not", "", "8:0", "8:17", false, ErrNotRemovable},
		{"a built-in disk is taken if sure", "", "8:0", "8:17", true, nil},
		{"a partition is not", rootOnSDA, "8:17", "8:1", true, ErrNotACard},
		{"the card that the image lies on is not", rootOnSDA, "8:16", "8:17", true, ErrInUse},
		{"a device that sysfs does not know is not", rootOnSDA, "9:9", "8:1", true, ErrNotACard},
	} {
		err := checkBlock(fakeSys(), c.mounts, c.device, c.holder, "/dev/x", c.sure)
		if c.want == errMounted {
			if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "unmount it: umount /") {
				t.Errorf("%s: error %v, want one that says how to unmount it", c.name, err)
			}
			continue
		}
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
	}
}
