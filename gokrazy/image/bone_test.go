// Board bbb: its image of real kernel and loaders, and small programs in place of ours.

package image

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
)

func TestBoneIsRefusedWithPartsThatDoNotFit(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, p *Parts)
		want  error
		text  string
	}{
		{"no preinit", func(t *testing.T, p *Parts) {
			remove(t, p.Programs, preinit)
		}, ErrMissing, "build it with scripts/build armv7"},
		{"a program for the Pi", func(t *testing.T, p *Parts) {
			imagetest.CopyProgram(t, imagetest.Plain, p.Programs, "init")
		}, ErrUnfit, "made for EM_AARCH64, board bbb is EM_ARM"},
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
		{"a kernel that was cut short", func(t *testing.T, p *Parts) {
			ownKernel(t, p, "6.1.0-armmp")
			cut(t, 5000, p.Kernel.Folder, "vmlinuz")
		}, ErrUnfit, "vmlinuz: kernel: zImage: says that it has "},
		{"a kernel without modules", func(t *testing.T, p *Parts) { ownKernel(t, p) }, ErrMissing,
			"modules of the kernel"},
		{"modules for two kernels", func(t *testing.T, p *Parts) {
			ownKernel(t, p, "6.1.0-armmp", "7.0.0-armmp")
		}, ErrUnfit, "has modules for 2 kernels, want one"},
		{"modules of another kernel than their folder is named after", func(t *testing.T, p *Parts) {
			ownKernel(t, p, "7.0.0-armmp")
		}, ErrUnfit, "the kernel is 7.0.0-armmp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := boneParts(t)
			c.spoil(t, &p)
			_, err := readParts(boneBoard(t), p)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("gather: %v, want %v with %q", err, c.want, c.text)
			}
		})
	}
}

// ownKernel gives the parts a folder of their own with the same kernel and device trees.
// Its modules are there once for each release, in a folder of that name.
func ownKernel(t *testing.T, p *Parts, releases ...string) {
	t.Helper()
	theirs, own := p.Kernel.Folder, t.TempDir()
	for _, name := range []string{"vmlinuz", "am335x-boneblack.dtb", "am335x-bonegreen.dtb"} {
		b, err := os.ReadFile(filepath.Join(theirs, name))
		if err != nil {
			t.Fatal(err)
		}
		imagetest.Put(t, b, own, name)
	}
	modules, err := filepath.Glob(filepath.Join(theirs, "lib/modules/*"))
	if err != nil || len(modules) != 1 {
		t.Fatalf("modules in %s: %q, %v", theirs, modules, err)
	}
	for _, release := range releases {
		link := filepath.Join(own, "lib/modules", release)
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(modules[0], link)); err != nil {
			t.Fatal(err)
		}
	}
	p.Kernel.Folder = own
}
