package flash

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// slotsImage is a small image with the partitions of ours.
func slotsImage(t *testing.T) (path, sum string) {
	t.Helper()
	path, _ = smallImage(t)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := disk.Table{Disk: disk.GUID{1}, Size: smallSize}
	start := int64(mib)
	for i, size := range []int64{8 * mib, mib, mib, 4 * mib} {
		table.Partitions = append(table.Partitions,
			disk.Partition{Type: disk.TypeLinux, ID: disk.GUID{byte(i + 2)}, Start: start, Size: size})
		start += size
	}
	if err := disk.WriteTable(f, table); err != nil {
		t.Fatal(err)
	}
	return path, hashOf(t, path)
}

func readTable(t *testing.T, path string) disk.Table {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	table, err := disk.ReadTable(f, size&^(disk.SectorSize-1))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestPermGetsTheRestOfTheCard(t *testing.T) {
	image, sum := slotsImage(t)
	for _, c := range []struct {
		name       string
		room, perm int64
	}{
		{"a card as small as the image", smallSize, 4 * mib},
		{"a card that is hardly larger", smallSize + 3*mib, 4 * mib},
		{"a larger card", 80 * mib, 68 * mib},
		{"a card that ends within a block", 80*mib + 1234, 68 * mib},
		{"a card of 64 GB", 64_000_000_000, card.PermMost},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := newCard(t, c.room)
			done, err := Card(context.Background(), Job{Image: opened(t, image), Target: target, Seed: []byte(`{}`)})
			if err != nil {
				t.Fatal(err)
			}
			if done.SHA256 != sum || done.Perm != c.perm {
				t.Errorf("%+v, want sha256 %s and %d bytes of /perm", done, sum, c.perm)
			}
			before, table := readTable(t, image), readTable(t, target)
			for i, p := range before.Partitions {
				if i == card.Perm {
					p.Size = c.perm
				}
				if table.Partitions[i] != p {
					t.Errorf("partition %d is %+v, want %+v", i+1, table.Partitions[i], p)
				}
			}
			if c.perm > 4*mib && table.Size != c.room/disk.SectorSize*disk.SectorSize {
				t.Errorf("the second table ends at %d of %d", table.Size, c.room)
			}
		})
	}
}

func TestIndependentToolAcceptsTheTableOfACard(t *testing.T) {
	need.Tools(t, "sgdisk")
	image, _ := slotsImage(t)
	target := newCard(t, 80*mib)
	if _, err := Card(context.Background(), Job{Image: opened(t, image), Target: target}); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sgdisk", "-v", target).CombinedOutput(); err != nil {
		t.Errorf("sgdisk -v: %v: %s", err, out)
	}
}

func TestTableThatTheCardDoesNotKeepIsNoticed(t *testing.T) {
	path, _ := slotsImage(t)
	image, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	const room = 80 * mib
	table, err := tableFor(image, smallSize, room)
	if err != nil {
		t.Fatal(err)
	}
	target, err := os.OpenFile(newCard(t, room), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	first := make([]byte, blockSize)
	if _, err := image.ReadAt(first, 0); err != nil {
		t.Fatal(err)
	}
	if err := table.write(target, first); err != nil {
		t.Fatal(err)
	}
	if err := table.compare(target, room); !errors.Is(err, ErrReadBack) {
		t.Errorf("a card without the first table: %v, want ErrReadBack", err)
	}
	if _, err := target.WriteAt(first, 0); err != nil {
		t.Fatal(err)
	}
	if err := table.compare(target, room); err != nil {
		t.Errorf("a card with both tables: %v", err)
	}
	if _, err := target.WriteAt(make([]byte, disk.SectorSize), room-disk.SectorSize); err != nil {
		t.Fatal(err)
	}
	if err := table.compare(target, room); !errors.Is(err, ErrReadBack) {
		t.Errorf("a card without the second table: %v, want ErrReadBack", err)
	}
	first[600]++
	if err := table.asImage(first); !errors.Is(err, ErrReadBack) {
		t.Errorf("another first table: %v, want ErrReadBack", err)
	}
}
