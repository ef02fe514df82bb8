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
)

const mib = 1 << 20

func inspectFile(t *testing.T, path string) (Report, error) {
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
	return Image(context.Background(), f, size)
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
	if len(r.Slots) != 2 || !r.Slots[0].Active || r.Slots[1].Active || !r.Slots[1].Empty ||
		len(r.Slots[0].Programs) != len(card.RootPrograms()) {
		t.Errorf("slots: %+v", r.Slots)
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
	if r, err := inspectFile(t, built.Image); err != nil || r.Seed != SeedMissing {
		t.Errorf("seed %q, %v; want %q", r.Seed, err, SeedMissing)
	}
}

func TestInspectNamesWhatDoesNotFit(t *testing.T) {
	built := ownImage(t)
	f, err := os.OpenFile(built.Image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	boot, start, err := card.OpenBoot(f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	for file, change := range map[string][2]string{"cmdline.txt": {"PARTNROFF=1", "PARTNROFF=2"},
		"vmlinuz": {"6.1.0-fake", "6.1.0-evil"}} {
		at, size, err := boot.Extent(file)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, size)
		if _, err := f.ReadAt(b, start+at); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(bytes.Replace(b, []byte(change[0]), []byte(change[1]), 1), start+at); err != nil {
			t.Fatal(err)
		}
	}
	r, err := inspectFile(t, built.Image)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(r.Problems, "\n")
	for _, want := range []string{"root B is empty, and the command line names it",
		`modules for kernel ["6.1.0-fake"], the kernel is 6.1.0-evil`} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %q", want, all)
		}
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
