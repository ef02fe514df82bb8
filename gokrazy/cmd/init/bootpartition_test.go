package main

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

// sysTree is /sys as the kernel shows a disk with three partitions; the root is
// partition 2.
func sysTree(disk string, parts ...string) fstest.MapFS {
	dir := "devices/platform/soc/block/" + disk
	tree := fstest.MapFS{
		dir + "/uevent":     {Data: []byte("MAJOR=179\nMINOR=0\nDEVNAME=" + disk + "\nDEVTYPE=disk\n")},
		dir + "/queue/x":    {Data: []byte("1\n")},
		"dev/block/179:2":   {Mode: fs.ModeSymlink, Data: []byte("../../" + dir + "/" + parts[1])},
		"dev/block/179:99":  {Mode: fs.ModeSymlink, Data: []byte("../../devices/virtual/block/loop0")},
		"dev/block/179:100": {Mode: fs.ModeSymlink, Data: []byte("../../../../etc/passwd")},
	}
	for i, p := range parts {
		number := string(rune('1' + i))
		tree[dir+"/"+p+"/partition"] = &fstest.MapFile{Data: []byte(number + "\n")}
		tree[dir+"/"+p+"/uevent"] = &fstest.MapFile{
			Data: []byte("MAJOR=179\nMINOR=" + number + "\nDEVNAME=" + p + "\nDEVTYPE=partition\nPARTN=" + number +
				"\n"),
		}
	}
	return tree
}

func TestFindPartitionOnTheDiskOfTheRoot(t *testing.T) {
	for _, c := range []struct {
		name string
		tree fstest.MapFS
		want string
	}{
		{"a card in a Pi", sysTree("mmcblk0", "mmcblk0p1", "mmcblk0p2", "mmcblk0p3"), "mmcblk0p1"},
		{"a disk of QEMU", sysTree("vda", "vda1", "vda2", "vda3"), "vda1"},
		{"a USB disk", sysTree("sda", "sda1", "sda2", "sda3"), "sda1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := findPartition(c.tree, 179, 2, 1)
			if got != c.want || err != nil {
				t.Errorf("findPartition = %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestFindPartitionSaysWhatIsMissing(t *testing.T) {
	whole := sysTree("vda", "vda1", "vda2")
	noFirst := sysTree("vda", "vda1", "vda2")
	delete(noFirst, "devices/platform/soc/block/vda/vda1/partition")
	noName := sysTree("vda", "vda1", "vda2")
	noName["devices/platform/soc/block/vda/vda1/uevent"].Data = []byte("MAJOR=179\n")
	for _, c := range []struct {
		name  string
		tree  fstest.MapFS
		minor uint32
		want  error
	}{
		{"a root that is no block device", whole, 7, fs.ErrNotExist},
		{"a root on a disk without partitions", whole, 99, fs.ErrNotExist},
		{"a link that leaves /sys", whole, 100, fs.ErrNotExist},
		{"a disk without partition 1", noFirst, 2, errNoPartition},
		{"a partition without a name", noName, 2, errNoPartition},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := findPartition(c.tree, 179, c.minor, 1)
			if !errors.Is(err, c.want) {
				t.Errorf("findPartition = %q, %v, want %v", got, err, c.want)
			}
		})
	}
}

// A service that starts at this moment holds what process 1 has open.
func TestWhatIsInUseIsUnmountedOnceItIsNot(t *testing.T) {
	for _, c := range []struct {
		name     string
		busy     int // tries
		last     error
		detached bool
		want     error
		pauses   int
	}{
		{"nobody uses it", 0, nil, false, nil, 0},
		{"for a moment", 3, nil, false, nil, 3},
		{"for ever", 1 << 20, nil, true, unix.EBUSY, busyTries},
		{"it is not mounted", 1, unix.EINVAL, false, unix.EINVAL, 1},
	} {
		tries, pauses, detached := 0, 0, false
		err := unmount("/boot", func(dir string, flags int) error {
			if detached = flags == unix.MNT_DETACH; detached {
				return nil
			}
			if tries++; tries <= c.busy {
				return unix.EBUSY
			}
			return c.last
		}, func() { pauses++ })
		if !errors.Is(err, c.want) || detached != c.detached || pauses != c.pauses {
			t.Errorf("%s: %v, detached %t, %d pauses; want %v, %t, %d", c.name, err, detached, pauses, c.want,
				c.detached, c.pauses)
		}
	}
}
