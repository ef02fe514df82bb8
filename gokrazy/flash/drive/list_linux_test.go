package drive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
)

// listedSys is fakeSys with what a list looks at, too.
func listedSys() (sys, udev fstest.MapFS) {
	sys = fakeSys()
	line := func(path, text string) { sys[path] = &fstest.MapFile{Data: []byte(text + "\n")} }
	for name, folder := range map[string]string{
		"sda": "devices/pci0/ata1/block/sda", "sdb": "devices/pci0/usb1/block/sdb",
		"mmcblk0": "devices/platform/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0",
		"mmcblk1": "devices/platform/mmc_host/mmc1/mmc1:0001/block/mmcblk1",
		"sdc":     "devices/pci0/usb2/block/sdc", // a reader without a card
		"sr0":     "devices/pci0/ata2/block/sr0", // a CD
		"loop0":   "devices/virtual/block/loop0",
	} {
		sys["block/"+name] = &fstest.MapFile{Data: []byte("../" + folder), Mode: fs.ModeSymlink | 0o777}
		line(folder+"/size", "62333952")
		line(folder+"/ro", "0")
		if name != "loop0" {
			line(folder+"/device/model", "Model "+name)
		}
	}
	for number, c := range map[string][3]string{
		"8:32": {"devices/pci0/usb2/block/sdc", "0", "0"}, "11:0": {"devices/pci0/ata2/block/sr0", "2000", "5"},
		"7:0": {"devices/virtual/block/loop0", "2000", ""},
	} {
		sys["dev/block/"+number] = &fstest.MapFile{Data: []byte("../../" + c[0]), Mode: fs.ModeSymlink | 0o777}
		line(c[0]+"/dev", number)
		line(c[0]+"/removable", "1")
		line(c[0]+"/size", c[1])
		if c[2] != "" {
			line(c[0]+"/device/type", c[2])
		}
	}
	line("devices/pci0/usb1/block/sdb/device/vendor", "Generic ")
	const found = "S:disk/by-label/KRAZYCAM\nE:ID_FS_LABEL=KRAZYCAM\nE:ID_FS_TYPE=vfat\n"
	udev = fstest.MapFS{"b8:17": {Data: []byte(found)}}
	return sys, udev
}

func TestListHasCardsAndNothingElse(t *testing.T) {
	sys, udev := listedSys()
	const mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n90 22 8:17 / /media/a\\040card rw - vfat /dev/sdb1 rw\n"
	got, err := listSys(sys, udev, mounts)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/dev/mmcblk0  Model mmcblk0, 31.9 GB, holds nothing that is known here",
		"/dev/sdb  Generic Model sdb, 31.9 GB, holds vfat KRAZYCAM, open at /media/a card",
	}
	var lines []string
	for _, d := range got {
		lines = append(lines, d.String())
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
	// A system that runs from the card in the USB reader.
	got, err = listSys(sys, udev, "22 1 8:17 / /boot/firmware rw - vfat /dev/sdb1 rw\n")
	if err != nil || len(got) != 1 {
		t.Errorf("%v, %v: the system's own card is listed", got, err)
	}
}

func TestListOfThisMachineLeavesOutWhatItRunsFrom(t *testing.T) {
	drives, err := List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range drives {
		if d.Path == "" || d.Size <= 0 || slices.ContainsFunc(d.Mounts, isSystem) {
			t.Errorf("%+v", d)
		}
	}
}

func TestADriveIsFoundByItsOtherNames(t *testing.T) {
	dir := t.TempDir()
	card := filepath.Join(dir, "sdb")
	link := filepath.Join(dir, "usb-Generic_Reader")
	if err := errors.Join(os.WriteFile(card, nil, 0o600), os.Symlink("sdb", link)); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	drives := []Drive{{Path: "/dev/sda", Name: "Disk", Size: 1}, {Path: card, Name: "Reader", Size: 2}}
	for _, path := range []string{card, link, "sdb", "./sdb"} {
		if got := Describe(drives, path); !got.Same(drives[1]) {
			t.Errorf("%s is %+v", path, got)
		}
	}
	if got := Describe(drives, "/dev/sdc"); !got.Same(Drive{Path: "/dev/sdc"}) {
		t.Errorf("a drive that is not listed is %+v", got)
	}
}

func FuzzUdevAndMounts(f *testing.F) {
	f.Add("E:ID_FS_TYPE=vfat\nE:ID_FS_LABEL=A\n", "90 22 8:17 / /media/a\\040card rw - vfat /dev/sdb1 rw\n")
	f.Fuzz(func(t *testing.T, data, mounts string) {
		sys, _ := listedSys()
		drives, err := listSys(sys, fstest.MapFS{"b8:17": {Data: []byte(data)}}, mounts)
		if err != nil || len(drives) > 2 {
			t.Errorf("%v, %v", drives, err)
		}
	})
}
