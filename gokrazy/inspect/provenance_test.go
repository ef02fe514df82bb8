package inspect

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

func TestSourcesSayWhereEachPartOfABoneIsFrom(t *testing.T) {
	built := boneImage(t)
	f, err := os.OpenFile(built.Image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	states := func() map[string]card.FileState {
		r, err := Provenance(context.Background(), f, card.ImageSize)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]card.FileState{}
		for _, part := range r.Parts {
			if part.Version == "" || part.SHA256 == "" || !strings.Contains(part.Source, part.Version) ||
				strings.Contains(part.Source, "VERSION") {
				t.Errorf("%s %s, sha256 %q, source %q", part.Name, part.Version, part.SHA256, part.Source)
			}
			for _, file := range part.Files {
				all[file.Path] = file.State
			}
		}
		return all
	}
	got := states()
	for _, want := range []string{"slot:vmlinuz", "slot:initrd.bin", "slot:am335x-boneblack.dtb",
		"slot:am335x-bonegreen.dtb", "sector:256/MLO", "sector:768/u-boot.img"} {
		if got[want] != card.FileSame {
			t.Errorf("%s is %q", want, got[want])
		}
	}
	if got["initrd:kernel/drivers/media/usb/uvc/uvcvideo.ko"] != card.FileInside {
		t.Errorf("no uvcvideo.ko in %v", got)
	}
	if _, err := f.WriteAt([]byte{0xff}, 256*disk.SectorSize+1000); err != nil {
		t.Fatal(err)
	}
	if state := states()["sector:256/MLO"]; state != card.FileDiffers {
		t.Errorf("a changed MLO is %q", state)
	}
}

func TestSourcesOfAPiNameItsModules(t *testing.T) {
	f, err := os.Open(piImage(t).Image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := Provenance(context.Background(), f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, part := range r.Parts {
		parts = append(parts, part.Slot+"|"+part.Name+"|"+part.Version)
	}
	if got, want := strings.Join(parts, " "), "|example.com/firmware|v2.0.0 |u-boot-rpi|2023.01+dfsg-2 "+
		"|example.com/kernel|v1.0.0 a|example.com/kernel|v1.0.0"; got != want || r.Board != "rpi" ||
		r.Release != "6.1.0-fake" || r.Parts[3].Sum != "h1:kernel=" || r.Parts[0].Sum != "h1:firmware=" ||
		!strings.Contains(r.Parts[0].Source, "v2.0.0") {
		t.Fatalf("parts %s, want %s; %+v", got, want, r)
	}
	for _, part := range r.Parts {
		for _, file := range part.Files {
			if changed := strings.Contains(file.Changed, "bootdelay=-2"); changed != (part.Name == "u-boot-rpi") {
				t.Errorf("%s: %s: changed %q", part.Name, file.Path, file.Changed)
			}
			if file.State != card.FileSame {
				t.Errorf("%s: %s is %s", part.Name, file.Path, file.State)
			}
		}
	}
}

// The list may be a stranger's: it names sectors and sizes.
func FuzzFileState(f *testing.F) {
	f.Add("sector:256/MLO", int64(110_248))
	f.Add("sector:-1", int64(1))
	f.Add("sector:8191", int64(1<<62))
	f.Add("boot:../x", int64(1))
	f.Add("slot:vmlinuz", int64(1))
	f.Fuzz(func(t *testing.T, path string, size int64) {
		look := fileReader{r: bytes.NewReader(binary.LittleEndian.AppendUint64(nil, 7)), boot: os.DirFS(t.TempDir())}
		state := look.compareFile(card.File{Path: path, Size: size})
		if state != card.FileMissing && state != card.FileInside {
			t.Errorf("%q, %d bytes: %s", path, size, state)
		}
	})
}
