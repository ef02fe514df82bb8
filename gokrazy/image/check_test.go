package image

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
	"github.com/krazycam/krazycam/gokrazy/slot/whole"
	"github.com/krazycam/krazycam/gokrazy/uboot"
)

// TestGatherRefuses has a doctored part for everything that an image must not be
// handed out with.
func TestGatherRefuses(t *testing.T) {
	modules := filepath.Join("lib/modules", imagetest.Release)
	uvc := filepath.Join(modules, "kernel/drivers/media/usb/uvc/uvcvideo.ko")
	for _, c := range []struct {
		name   string
		doctor func(t *testing.T, p *Parts)
		is     error
		want   string
	}{
		{"no camsource", func(t *testing.T, p *Parts) {
			remove(t, p.Programs, "camsource")
		}, ErrMissing, "camsource: build it with scripts/build arm64"},
		{"no init", func(t *testing.T, p *Parts) { remove(t, p.Programs, "init") }, ErrMissing, "init: build it"},
		{"camsource for another architecture", func(t *testing.T, p *Parts) {
			imagetest.CopyProgram(t, imagetest.Foreign, p.Programs, "camsource")
		}, ErrUnfit, "made for EM_X86_64, board rpi is EM_AARCH64"},
		{"camsource without cgo", func(t *testing.T, p *Parts) {
			imagetest.CopyProgram(t, imagetest.Plain, p.Programs, "camsource")
		}, ErrUnfit, "without cgo, so without codecs"},
		{"camsource that needs a loader", func(t *testing.T, p *Parts) {
			imagetest.CopyProgram(t, imagetest.Dynamic, p.Programs, "camsource")
		}, ErrUnfit, "not static (needs libc.so.6)"},
		{"init with cgo", func(t *testing.T, p *Parts) {
			imagetest.CopyProgram(t, imagetest.Cgo, p.Programs, "init")
		}, ErrUnfit, "built with cgo"},
		{"init without the board's tag", func(t *testing.T, p *Parts) {
			imagetest.CopyProgram(t, imagetest.Bare, p.Programs, "init")
		}, ErrUnfit, "without -tags gokrazy"},
		{"a script instead of a program", func(t *testing.T, p *Parts) {
			imagetest.Put(t, []byte("#!/bin/sh\n"), p.Programs, "ntp")
		}, errNotAProgram, "ntp"},
		{"a program cut short", func(t *testing.T, p *Parts) {
			cut(t, 5000, p.Programs, "dhcp")
		}, errNotAProgram, "dhcp"},
		{"no kernel", func(t *testing.T, p *Parts) {
			remove(t, p.Kernel.Folder, "vmlinuz")
		}, ErrMissing, "vmlinuz"},
		{"a kernel without release", func(t *testing.T, p *Parts) {
			imagetest.Put(t, []byte("Linux version %s"), p.Kernel.Folder, "vmlinuz")
		}, whole.ErrNoRelease, "vmlinuz"},
		{"modules of another kernel in the right folder", func(t *testing.T, p *Parts) {
			imagetest.Put(t, imagetest.Module("6.1.0-other"), p.Kernel.Folder, uvc)
		}, ErrUnfit, "made for kernel 6.1.0-other, the kernel is 6.1.0-fake"},
		{"no modules for this kernel", func(t *testing.T, p *Parts) {
			imagetest.Put(t, []byte("Linux version 7.0.0-new x"), p.Kernel.Folder, "vmlinuz")
		}, ErrMissing, "modules of kernel 7.0.0-new"},
		{"a module missing", func(t *testing.T, p *Parts) {
			remove(t, p.Kernel.Folder, uvc)
		}, ErrMissing, "uvcvideo.ko"},
		{"a module that is no module", func(t *testing.T, p *Parts) {
			imagetest.Put(t, []byte("x"), p.Kernel.Folder, uvc)
		}, nil, "not a kernel module"},
		{"a module that needs one behind it", func(t *testing.T, p *Parts) {
			deps := "kernel/drivers/media/common/videobuf2/videobuf2-common.ko: " +
				"kernel/drivers/media/usb/uvc/uvcvideo.ko\n"
			imagetest.Put(t, []byte(deps), p.Kernel.Folder, modules, "modules.dep")
		}, ErrUnfit, "needs uvcvideo.ko before it"},
		{"no boot firmware", func(t *testing.T, p *Parts) {
			remove(t, p.Firmware.Folder, "start4.elf")
		}, ErrMissing, "boot file start4.elf"},
		{"no overlays", func(t *testing.T, p *Parts) {
			remove(t, p.Kernel.Folder, "overlays", "disable-bt.dtbo")
		}, ErrMissing, "boot file overlays/*.dtbo"},
		{"no U-Boot", func(t *testing.T, p *Parts) {
			remove(t, p.UBoot.Folder, "u-boot.bin")
		}, ErrMissing, "u-boot.bin: scripts/parts rpi fetches it"},
		{"another U-Boot", func(t *testing.T, p *Parts) {
			imagetest.Put(t, []byte("bootdelay=3"), p.UBoot.Folder, "u-boot.bin")
		}, uboot.ErrUnknownBuild, "bootdelay=2"},
		{"boot firmware without a licence", func(t *testing.T, p *Parts) {
			remove(t, p.Firmware.Folder, "LICENSE.broadcom")
		}, ErrMissing, "no LICENSE"},
		{"a Go module without a licence", func(t *testing.T, p *Parts) {
			p.Licences = func(string, string) ([]byte, error) { return nil, ErrMissing }
		}, ErrMissing, "licence of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := fakeParts(t)
			c.doctor(t, &p)
			_, err := readParts(piBoard(t), p)
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("error %v, want %q in it and %v", err, c.want, c.is)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

func TestGatherTakesWholeParts(t *testing.T) {
	m, err := readParts(piBoard(t), fakeParts(t))
	if err != nil {
		t.Fatal(err)
	}
	if m.release != imagetest.Release || len(m.programs) != len(card.RootPrograms()) || len(m.modules) != 7 {
		t.Errorf("release %q, %d programs, %d modules", m.release, len(m.programs), len(m.modules))
	}
}

func TestImageWhoseSlotWouldBeRefusedIsNotMade(t *testing.T) {
	p, b := fakeParts(t), piBoard(t)
	remove(t, p.Kernel.Folder, "bcm2711-rpi-400.dtb") // others still match the pattern
	m, err := readParts(b, p)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bootEntries(b, p, m)
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "bcm2711-rpi-400.dtb") {
		t.Errorf("bootEntries without a device tree of the Pi 400 = %v, want ErrMissing", err)
	}
}

func TestRootThatDoesNotFitIsRefused(t *testing.T) {
	m, err := readParts(piBoard(t), fakeParts(t))
	if err != nil {
		t.Fatal(err)
	}
	m.programs = nil // they take long to pack, and do not matter here
	root, err := rootImage(piBoard(t), m, "", card.RootSize)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rootImage(piBoard(t), m, "", len(root)-1); !errors.Is(err, ErrUnfit) {
		t.Errorf("error %v, want ErrUnfit", err)
	}
}

func remove(t *testing.T, path ...string) {
	t.Helper()
	if err := os.Remove(filepath.Join(path...)); err != nil {
		t.Fatal(err)
	}
}

func cut(t *testing.T, size int64, path ...string) {
	t.Helper()
	if err := os.Truncate(filepath.Join(path...), size); err != nil {
		t.Fatal(err)
	}
}
