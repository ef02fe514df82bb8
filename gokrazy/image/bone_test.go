// Board bbb: its image of real kernel and loaders, and small programs in place of ours.

package image

import (
	"errors"
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
