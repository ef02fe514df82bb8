package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

const mib = 1 << 20

func inspectFile(t *testing.T, path string) (Report, error) {
	t.Helper()
	return lookAt(t, path, Image)
}

// examineFile leaves the sums out.
func examineFile(t *testing.T, path string) (Report, error) {
	t.Helper()
	return lookAt(t, path, examine)
}

func lookAt(t *testing.T, path string,
	look func(context.Context, io.ReaderAt, int64) (Report, error)) (Report, error) {
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
	return look(context.Background(), f, size)
}

func TestInspectReadsBackWhatWasBuilt(t *testing.T) {
	built := piImage(t)
	r, err := inspectFile(t, built.Image)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Problems) != 0 {
		t.Errorf("problems: %q", r.Problems)
	}
	if r.SHA256 != built.SHA256 || r.Board != "rpi" || r.Kernel != imagetest.Release || r.Seed != SeedBlank {
		t.Errorf("%+v", r)
	}
	if len(r.Slots) != 2 || !r.Slots[0].Promoted || r.Slots[1].Promoted || !r.Slots[1].Empty ||
		len(r.Slots[0].Programs) != len(card.RootPrograms()) {
		t.Errorf("slots: %+v", r.Slots)
	}
	if want := (Pointers{Config: slot.A, Tryboot: slot.B, UBoot: slot.A}); r.Pointers != want {
		t.Errorf("pointers %+v, want %+v", r.Pointers, want)
	}
	var holds []string
	for _, p := range r.Partitions {
		holds = append(holds, p.Holds)
	}
	if got := strings.Join(holds, " "); got != "FAT16 squashfs empty ext4" {
		t.Errorf("partitions hold %s", got)
	}
	for _, p := range r.Slots[0].Programs {
		if !p.Static || p.Machine != "EM_AARCH64" || p.Cgo != strings.HasSuffix(p.Path, "camsource") {
			t.Errorf("%+v", p)
		}
	}
}

func TestInspectNeverShowsTheSeed(t *testing.T) {
	built := ownImage(t)
	if err := card.WriteSeed(built.Image, []byte(`{"gateway":{"key":"sesame"}}`)); err != nil {
		t.Fatal(err)
	}
	r, err := inspectFile(t, built.Image)
	if err != nil {
		t.Fatal(err)
	}
	if r.Seed != SeedPresent {
		t.Errorf("seed is %q", r.Seed)
	}
	if b, err := json.Marshal(r); err != nil || bytes.Contains(b, []byte("sesame")) {
		t.Errorf("the report holds the key, %v", err)
	}
}

// A card of 64 GB took ten minutes and had a sum that nothing else has.
func TestInspectLooksAtTheImageOnACardAndNoFurther(t *testing.T) {
	built := ownImage(t)
	if err := os.Truncate(built.Image, card.ImageSize+100*mib); err != nil {
		t.Fatal(err)
	}
	r, err := inspectFile(t, built.Image)
	if err != nil {
		t.Fatal(err)
	}
	if r.Size != card.ImageSize || r.SHA256 != built.SHA256 {
		t.Errorf("%d bytes, sha256 %s; want %d, %s", r.Size, r.SHA256, int64(card.ImageSize), built.SHA256)
	}
}

// camctl flash gives /perm the rest of the card. No sum is made of what a board has written there.
func TestInspectTakesACardWhosePermIsLarger(t *testing.T) {
	built := ownImage(t)
	f, err := os.OpenFile(built.Image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := card.Table()
	if err != nil {
		t.Fatal(err)
	}
	table.Size = 64_000_000_000
	table.Partitions[card.Perm].Size = card.PermMost
	if err := errors.Join(f.Truncate(table.Size), disk.WriteTable(f, table)); err != nil {
		t.Fatal(err)
	}
	r, err := inspectFile(t, built.Image)
	if err != nil {
		t.Fatal(err)
	}
	perm := r.Partitions[card.Perm]
	if len(r.Problems) != 0 || r.Size != card.ImageSize || perm.Size != card.PermMost || perm.Holds != "ext4" ||
		perm.Used != card.PermSize {
		t.Errorf("problems %q, size %d, /perm %+v", r.Problems, r.Size, perm)
	}
}

func TestInspectTakesABootPartitionWithoutASeed(t *testing.T) {
	built := ownImage(t)
	f, err := os.OpenFile(built.Image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	folders := make([]byte, mib) // boot sector, table, root folder
	if _, err := f.ReadAt(folders, card.BootStart); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(folders, []byte("KRAZYC~1JSO"))
	if at < 0 {
		t.Fatal("no entry of the seed")
	}
	for i := range 2 { // its long name in the entry before
		if _, err := f.WriteAt([]byte{0xe5}, int64(card.BootStart+at-32*i)); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := examineFile(t, built.Image); err != nil || r.Seed != SeedMissing {
		t.Errorf("seed %q, %v; want %q", r.Seed, err, SeedMissing)
	}
}

// change puts other bytes of the same length into a file of the boot partition.
func change(t *testing.T, image, file, from, to string) {
	t.Helper()
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	boot, start, err := card.OpenBoot(f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	at, size, err := boot.Extent(file)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, start+at); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(from)) || len(from) != len(to) {
		t.Fatalf("%s has no %q, or %q is of another length", file, from, to)
	}
	if _, err := f.WriteAt(bytes.ReplaceAll(b, []byte(from), []byte(to)), start+at); err != nil {
		t.Fatal(err)
	}
}

// setState writes U-Boot's sector.
func setState(t *testing.T, image string, sector []byte) {
	t.Helper()
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(sector, card.StateSector*disk.SectorSize); err != nil {
		t.Fatal(err)
	}
}

func TestInspectNamesWhatDoesNotFit(t *testing.T) {
	state := func(s slot.State) func(*testing.T, string) {
		return func(t *testing.T, image string) {
			sector := slot.StateSector(s)
			setState(t, image, sector[:])
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, image string)
		want  string
	}{
		{"another root", func(t *testing.T, image string) {
			change(t, image, "a/cmdline.txt", "PARTNROFF=1", "PARTNROFF=2")
		}, "slot a: cmdline.txt names the root of slot b"},
		{"no root of ours", func(t *testing.T, image string) {
			change(t, image, "a/cmdline.txt", "60c24cc1", "00000000")
		}, "slot a: cmdline.txt names no root of this image"},
		{"another kernel", func(t *testing.T, image string) {
			change(t, image, "a/vmlinuz", "6.1.0-fake", "6.1.0-evil")
		}, `slot a: its root has modules for kernel ["6.1.0-fake"], the kernel is 6.1.0-evil`},
		{"config.txt names the empty slot", func(t *testing.T, image string) {
			change(t, image, "config.txt", "os_prefix=a/", "os_prefix=b/")
		}, "config.txt starts slot b, which is empty"},
		{"config.txt names both", func(t *testing.T, image string) {
			change(t, image, "config.txt", "os_prefix=a/\nkernel=vmlinuz\nkernel_watchdog_timeout=15\n[pi5]",
				"os_prefix=b/\nkernel=vmlinuz\nkernel_watchdog_timeout=15\n[pi5]")
		}, "names slots a and b"},
		{"config.txt names none", func(t *testing.T, image string) {
			change(t, image, "config.txt", "os_prefix=a/", "os_suffix=a/")
		}, "nothing says which slot starts"},
		{"U-Boot starts the empty slot", state(slot.State{Slot: slot.B}),
			"U-Boot's sector starts slot b, which is empty"},
		{"U-Boot tries the empty slot", state(slot.State{Slot: slot.A, Try: slot.B}),
			"U-Boot's sector tries slot b, which is empty"},
		{"U-Boot's sector is noise", func(t *testing.T, image string) {
			setState(t, image, bytes.Repeat([]byte{0xa5}, disk.SectorSize))
		}, "state sector: "},
		{"a file of the slot has other bytes", func(t *testing.T, image string) {
			change(t, image, "a/overlays/README", "overlays", "0verlays")
		}, "slot a: boot/overlays/README is not what manifest.json says: it has other bytes"},
		{"the root has other bytes", func(t *testing.T, image string) {
			f, err := os.OpenFile(image, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			table, err := card.Table()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte{0xa5}, table.Partitions[card.RootA].Start+100_000); err != nil {
				t.Fatal(err)
			}
		}, "slot a: root is not what manifest.json says: it has other bytes"},
		{"a manifest of another board", func(t *testing.T, image string) {
			change(t, image, "a/manifest.json", `"board": "rpi"`, `"board": "bbb"`)
		}, "slot a: manifest.json is for board bbb, its root for rpi"},
		{"a manifest that is none", func(t *testing.T, image string) {
			change(t, image, "a/manifest.json", `"format": 1`, `"format": 9`)
		}, "slot a: manifest.json: "},
		{"another init", func(t *testing.T, image string) {
			change(t, image, "a/cmdline.txt", "init=/gokrazy/init", "init=/gokrazy/exit")
		}, "slot a: slot is not whole: cmdline.txt lacks root="},
		{"a file of the slot is empty", func(t *testing.T, image string) {
			emptyFile(t, image, "BCM271~2DTB")
		}, "is empty or no plain file"},
		{"no U-Boot for a Pi 3", func(t *testing.T, image string) {
			emptyFile(t, image, "U-BOOT  BIN")
		}, "u-boot.bin is missing: a Pi 3 or Zero 2 W would not start"},
	} {
		t.Run(c.name, func(t *testing.T) {
			built := ownImage(t)
			c.spoil(t, built.Image)
			r, err := examineFile(t, built.Image)
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(r.Problems, "\n"); !strings.Contains(all, c.want) {
				t.Errorf("no %q in %q", c.want, all)
			}
		})
	}
}

// emptyFile makes a file of the boot partition one of no bytes; its name stays if it is in a slot.
func emptyFile(t *testing.T, image, short string) {
	t.Helper()
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	folders := make([]byte, 2*mib)
	if _, err := f.ReadAt(folders, card.BootStart); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(folders, []byte(short))
	if at < 0 {
		t.Fatalf("no entry %q", short)
	}
	if strings.HasPrefix(short, "U-BOOT") {
		folders[at] = 0xe5
	}
	copy(folders[at+26:at+32], make([]byte, 6)) // first cluster, size
	if _, err := f.WriteAt(folders, card.BootStart); err != nil {
		t.Fatal(err)
	}
}

// What a power cut leaves of an update is no problem while nothing names it.
func TestInspectToleratesHalfASlotThatNothingStarts(t *testing.T) {
	built := ownImage(t)
	f, err := os.OpenFile(built.Image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := card.Table()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("hsqs, and then the power was cut"), table.Partitions[card.RootB].Start); err != nil {
		t.Fatal(err)
	}
	r, err := examineFile(t, built.Image)
	if err != nil || len(r.Problems) != 0 || r.Slots[1].Empty || len(r.Slots[1].Faults) == 0 {
		t.Errorf("problems %q, slot b %+v, %v; want none, and faults", r.Problems, r.Slots[1], err)
	}
	sector := slot.StateSector(slot.State{Slot: slot.A, Try: slot.B})
	setState(t, built.Image, sector[:])
	if r, err = examineFile(t, built.Image); err != nil ||
		!strings.Contains(strings.Join(r.Problems, "\n"), "tries slot b, which is not whole") {
		t.Errorf("with slot b to be tried: problems %q, %v", r.Problems, err)
	}
}

func TestInspectRefusesWhatIsNoImage(t *testing.T) {
	for _, size := range []int64{0, 1, 512, 4096, 1 << 20} {
		if _, err := Image(context.Background(), bytes.NewReader(make([]byte, size)), size); err == nil {
			t.Errorf("%d zero bytes were taken for an image", size)
		}
	}
	_, err := Image(context.Background(), bytes.NewReader(make([]byte, 1<<20)), 1<<20)
	if !errors.Is(err, disk.ErrDamaged) {
		t.Errorf("error %v, want ErrDamaged", err)
	}
}
