package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

// diskWith makes a disk of one MiB with four partitions, the first of which has the
// GUID.
func diskWith(t *testing.T, first disk.GUID) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := disk.Table{Disk: disk.GUID{9}, Size: mib}
	for i := range 4 {
		id := first
		id[15] += byte(i)
		table.Partitions = append(table.Partitions,
			disk.Partition{Type: disk.TypeLinux, ID: id, Start: int64(i+1) * 65536, Size: 65536})
	}
	if err := disk.WriteTable(f, table); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, mib))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// boardWith puts disks into a /sys/class/block: each name with its bytes.
func boardWith(all map[string][]byte) disks {
	sys := fstest.MapFS{}
	for name, b := range all {
		sys[name+"/size"] = &fstest.MapFile{Data: []byte(map[bool]string{true: "2048\n", false: "0\n"}[len(b) > 0])}
		separator := ""
		if strings.HasPrefix(name, "mmcblk") {
			separator = "p"
		}
		for i := 0; i < 4 && len(b) > 0; i++ {
			number := string(rune('1' + i))
			partition := &fstest.MapFile{Data: []byte(number + "\n")}
			sys[name+"/"+name+separator+number+"/partition"] = partition
			sys[name+separator+number+"/partition"] = partition // the kernel lists partitions beside their disk too
			sys[name+separator+number+"/size"] = &fstest.MapFile{Data: []byte("128\n")}
		}
	}
	return disks{sys, func(name string) (io.ReaderAt, func() error, error) {
		b, ok := all[name]
		if !ok {
			return nil, nil, fs.ErrNotExist
		}
		return bytes.NewReader(b), func() error { return nil }, nil
	}}
}

func TestFindRootOnTheDiskWithTheGUID(t *testing.T) {
	ours, other := diskWith(t, exampleGUID), diskWith(t, disk.GUID{7})
	torn := bytes.Clone(ours)
	copy(torn[len(torn)-disk.SectorSize:], "no backup any more")
	for _, c := range []struct {
		name   string
		disks  map[string][]byte
		offset int
		want   string
	}{
		{"a card", map[string][]byte{"mmcblk0": ours}, 1, "mmcblk0p2"},
		{"root B", map[string][]byte{"mmcblk0": ours}, 2, "mmcblk0p3"},
		{"QEMU's disk", map[string][]byte{"vda": ours}, 1, "vda2"},
		{"a stranger's card before it", map[string][]byte{"mmcblk0": other, "mmcblk1": ours}, 1, "mmcblk1p2"},
		{"a copy of the card in the built-in memory", map[string][]byte{"mmcblk0": ours, "mmcblk1": ours}, 1,
			"mmcblk0p2"},
		{"a reader without a card and a disk without a table",
			map[string][]byte{"sda": nil, "sdb": make([]byte, mib), "sdc": ours}, 1, "sdc2"},
		{"a damaged backup", map[string][]byte{"mmcblk0": torn}, 1, "mmcblk0p2"},
	} {
		if got, err := boardWith(c.disks).findRoot(rootName{exampleGUID, c.offset}); err != nil || got != c.want {
			t.Errorf("%s: find = %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestFindRootSaysWhichDisksThereAre(t *testing.T) {
	damaged := diskWith(t, exampleGUID)
	damaged[disk.SectorSize] ^= 1
	for _, c := range []struct {
		name  string
		disks map[string][]byte
		want  string
	}{
		{"no disk", nil, "disks: none"},
		{"other disks", map[string][]byte{"mmcblk0": diskWith(t, disk.GUID{7}), "sda": make([]byte, mib)},
			"disks: mmcblk0, sda"},
		{"a damaged table", map[string][]byte{"mmcblk0": damaged}, "disks: mmcblk0"},
	} {
		_, err := boardWith(c.disks).findRoot(rootName{exampleGUID, 1})
		if !errors.Is(err, errNoRoot) || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: find: %v, want errNoRoot that ends in %q", c.name, err, c.want)
		}
	}
	// The table has the partition, the kernel does not show it.
	bare := boardWith(map[string][]byte{"mmcblk0": diskWith(t, exampleGUID)})
	if _, err := bare.findRoot(rootName{exampleGUID, 4}); !errors.Is(err, errNoRoot) {
		t.Errorf("partition 5 of 4: %v, want errNoRoot", err)
	}
}
