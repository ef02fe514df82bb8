// Board bbb: its image of real kernel and loaders, and small programs in place of ours.
package gokrazy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
)

// boneImage is a copy of an image that is built once for all tests.
func boneImage(t testing.TB) Result {
	t.Helper()
	kept := filepath.Join(imagetest.Folder(), "bbb.img")
	if _, err := os.Stat(kept + ".json"); err != nil {
		r := buildBone(t, boneParts(t), kept)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		imagetest.Put(t, b, kept+".json")
	}
	b, err := os.ReadFile(kept + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	r.Image = imagetest.Clone(t, kept)
	return r
}

func buildBone(t testing.TB, p Parts, path string) Result {
	t.Helper()
	r, err := Build(context.Background(), boneBoard(t), p, path, noLog)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBoneImageIsReadBackAsItWasBuilt(t *testing.T) {
	p, built := boneParts(t), boneImage(t)
	if again := buildBone(t, p, filepath.Join(t.TempDir(), "again.img")); again.SHA256 != built.SHA256 {
		t.Errorf("sha256 %s, then %s", built.SHA256, again.SHA256)
	}
	r, err := inspectFile(t, built.Image)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Problems) != 0 || r.Board != "bbb" || r.Loader != "U-Boot" || r.Kernel != built.Kernel || len(r.Slots[0].Modules) != 0 {
		t.Errorf("%+v", r)
	}
	if !strings.HasPrefix(r.Cmdline, "console=") || built.Initrd == 0 || built.Modules < 40 {
		t.Errorf("command line %q, %+v", r.Cmdline, built)
	}
	for i, name := range []string{"MLO", "u-boot.img"} {
		want, err := os.ReadFile(filepath.Join(p.Firmware.Folder, name))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		readAt(t, built.Image, got, []int64{128 << 10, 384 << 10}[i])
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not where the boot ROM looks", name)
		}
		if raw := r.Raw[i]; raw.Name != name || raw.Size != int64(len(want)) {
			t.Errorf("inspect says %+v of %s with %d bytes", raw, name, len(want))
		}
	}
	for tool, args := range map[string][]string{"sgdisk": {"-v", built.Image}, "fsck.fat": {"-n", extract(t, built.Image, card.Boot)}} {
		imagetest.Need(t, tool)
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", tool, err, out)
		}
	}
}

func readAt(t testing.TB, file string, b []byte, at int64) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func TestInspectNoticesABoneThatCannotBoot(t *testing.T) {
	built := boneImage(t)
	f, err := os.OpenFile(built.Image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 128<<10), 128<<10); err != nil { // MLO
		t.Fatal(err)
	}
	boot, start, err := card.OpenBoot(f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	at, _, err := boot.Extent(card.BootScriptName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("reset"), start+at+uImageHeader+8); err != nil {
		t.Fatal(err)
	}
	r, err := inspectFile(t, built.Image)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.Problems, "\n"); !strings.Contains(got, "no MLO") || !strings.Contains(got, "boot.scr is none for U-Boot, or damaged") {
		t.Errorf("problems: %s", got)
	}
}

func TestBoneIsRefusedWithPartsThatDoNotFit(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, p *Parts)
		want  error
		text  string
	}{
		{"no preinit", func(t *testing.T, p *Parts) { remove(t, p.Programs, preinit) }, ErrMissing, "build it with scripts/build armv7"},
		{"a program for the Pi", func(t *testing.T, p *Parts) { imagetest.CopyProgram(t, imagetest.Plain, p.Programs, "init") }, ErrUnfit, "made for EM_AARCH64, board bbb is EM_ARM"},
		{"no U-Boot", func(t *testing.T, p *Parts) { p.Firmware.Folder = t.TempDir() }, ErrMissing, "MLO"},
		{"a loader that reaches into the boot partition", func(t *testing.T, p *Parts) {
			own := t.TempDir()
			imagetest.Put(t, []byte("x"), own, "MLO")
			imagetest.Put(t, make([]byte, card.BootStart), own, "u-boot.img")
			p.Firmware.Folder = own
		}, ErrUnfit, "the boot partition begins at 4194304"},
		{"a loader that reaches into the next", func(t *testing.T, p *Parts) {
			own := t.TempDir()
			imagetest.Put(t, make([]byte, 300<<10), own, "MLO")
			imagetest.Put(t, []byte("x"), own, "u-boot.img")
			p.Firmware.Folder = own
		}, ErrUnfit, "u-boot.img at byte 393216"},
		{"another kernel than its modules", func(t *testing.T, p *Parts) {
			own := t.TempDir()
			imagetest.Put(t, fakeZImage(t, "Linux version 7.0.0-armmp (x)"), own, "vmlinuz")
			imagetest.Put(t, []byte("x"), own, "am335x-boneblack.dtb")
			imagetest.Put(t, []byte("x"), own, "am335x-bonegreen.dtb")
			p.Kernel.Folder = own
		}, ErrMissing, "modules of kernel 7.0.0-armmp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := boneParts(t)
			c.spoil(t, &p)
			_, err := gather(boneBoard(t), p)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("gather: %v, want %v with %q", err, c.want, c.text)
			}
		})
	}
}
