package whole_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/slot/slottest"
	"github.com/krazycam/krazycam/gokrazy/slot/whole"
)

// trees makes file systems of a slot.
func trees(s slottest.Slot) (files, root fstest.MapFS) {
	files, root = fstest.MapFS{}, fstest.MapFS{}
	for name, b := range s.Files {
		files[name] = &fstest.MapFile{Data: bytes.Clone(b), Mode: 0o444}
	}
	for _, e := range s.Root {
		root[e.Path] = &fstest.MapFile{Data: bytes.Clone(e.Bytes), Mode: max(e.Mode, 0o444)}
	}
	return files, root
}

func TestAWholeSlotIsTaken(t *testing.T) {
	for _, name := range []string{"rpi", "bbb"} {
		s := slottest.New(t, name, 1)
		files, root := trees(s)
		if err := whole.Check(s.Board, slot.A, files, root); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		line, err := slot.Cmdline(files["cmdline.txt"].Data, slot.B)
		if err != nil {
			t.Fatal(err)
		}
		files["cmdline.txt"].Data = line
		if err := whole.Check(s.Board, slot.B, files, root); err != nil {
			t.Errorf("%s as slot b: %v", name, err)
		}
	}
}

func TestASlotWithoutAnyOfItsFilesIsRefused(t *testing.T) {
	for _, b := range board.All() {
		for _, file := range b.SlotFiles {
			files, root := trees(slottest.New(t, b.Name, 1))
			delete(files, file)
			err := whole.Check(b, slot.A, files, root)
			if !errors.Is(err, whole.ErrIncomplete) || !strings.Contains(err.Error(), file+" is missing") {
				t.Errorf("%s without %s: %v", b.Name, file, err)
			}
			files, _ = trees(slottest.New(t, b.Name, 1))
			files[file].Data = nil
			if err := whole.Check(b, slot.A, files, root); !errors.Is(err, whole.ErrIncomplete) {
				t.Errorf("%s with an empty %s: %v", b.Name, file, err)
			}
		}
	}
}

func TestASlotWhosePartsDoNotBelongTogetherIsRefused(t *testing.T) {
	modules := "lib/modules/" + slottest.Release
	uvc := path.Join(modules, "kernel/drivers/media/usb/uvc/uvcvideo.ko")
	type tree = fstest.MapFS
	for _, c := range []struct {
		name, board string
		damage      func(files, root tree)
		want        string
	}{
		{"the root of slot b", "rpi", func(f, _ tree) { replace(f["cmdline.txt"], "ROFF=1", "ROFF=2") },
			"names the root of slot b, want a"},
		{"another card's root", "rpi", func(f, _ tree) { replace(f["cmdline.txt"], "UUID=60", "UUID=61") },
			"cmdline.txt lacks root=PARTUUID="},
		{"another init", "rpi", func(f, _ tree) { replace(f["cmdline.txt"], "init=/gokrazy/init", "init=/bin/sh") },
			"cmdline.txt lacks"},
		{"two roots", "rpi", func(f, _ tree) { replace(f["cmdline.txt"], "version=", "root=PARTUUID=x version=") },
			"command line of the kernel"},
		{"a device tree cut short", "rpi", func(f, _ tree) {
			f["bcm2711-rpi-4-b.dtb"].Data = f["bcm2711-rpi-4-b.dtb"].Data[:3000]
		}, "bcm2711-rpi-4-b.dtb: no whole device tree"},
		{"a device tree of text", "bbb", func(f, _ tree) { f["am335x-bonegreen.dtb"].Data = []byte("text text") },
			"am335x-bonegreen.dtb: no whole device tree"},
		{"a kernel of text", "rpi", func(f, _ tree) { f["vmlinuz"].Data = []byte("text") }, "no release in it"},
		{"another kernel", "rpi", func(f, _ tree) { replace(f["vmlinuz"], "6.1.0-fake", "6.2.0-fake") },
			"sources.json says kernel 6.1.0-fake, the kernel is 6.2.0-fake"},
		{"modules of another kernel only", "rpi", func(f, r tree) {
			replace(f["vmlinuz"], "6.1.0-fake", "6.2.0-fake")
			replace(f["sources.json"], "6.1.0-fake", "6.2.0-fake")
		}, "root: no modules of kernel 6.2.0-fake, only of 6.1.0-fake"},
		{"no modules", "rpi", func(_, r tree) {
			for name := range r {
				if strings.HasPrefix(name, modules) {
					delete(r, name)
				}
			}
		}, "no modules of kernel 6.1.0-fake, nor of another"},
		{"one module of another kernel", "rpi", func(_, r tree) { r[uvc].Data = imagetest.Module("6.2.0-fake") },
			"module uvcvideo.ko is made for kernel 6.2.0-fake"},
		{"a module missing", "rpi", func(_, r tree) { delete(r, uvc) }, "module uvcvideo.ko is missing"},
		{"a module cut short", "rpi", func(_, r tree) { r[uvc].Data = r[uvc].Data[:100] }, "uvcvideo.ko: module: "},
		{"no init", "rpi", func(_, r tree) { delete(r, "gokrazy/init") }, "root: gokrazy/init: is missing"},
		{"no slotwriter", "bbb", func(_, r tree) { delete(r, "gokrazy/slotwriter") },
			"root: gokrazy/slotwriter: is missing"},
		{"an init that cannot be started", "rpi", func(_, r tree) { r["gokrazy/init"].Mode = 0o444 },
			"cannot be started"},
		{"programs of the other board", "bbb", func(_, r tree) { r["user/camsource"].Data[18] = 183 },
			"user/camsource: made for EM_AARCH64, board bbb is EM_ARM"},
		{"a script as init", "rpi", func(_, r tree) { r["gokrazy/init"].Data = []byte("#!/bin/sh\nexec sleep 10") },
			"root: gokrazy/init: made for"},
		{"another board's root", "rpi", func(_, r tree) { r["etc/gokrazy/board"].Data = []byte("bbb\n") },
			`made for board "bbb", this is rpi`},
		{"another board's files", "rpi", func(f, _ tree) { replace(f["sources.json"], `"rpi"`, `"bbb"`) },
			`sources.json: of board "bbb"`},
		{"a zImage cut short", "bbb", func(f, _ tree) { f["vmlinuz"].Data = f["vmlinuz"].Data[:1000] }, "zImage: says"},
		{"an initramfs for another kernel", "bbb", func(f, _ tree) {
			replace(f["sources.json"], "6.1.0-fake", "6.2.0-fake")
		}, "initrd.bin: module early/000-x.ko is made for kernel 6.1.0-fake, the kernel is 6.2.0-fake"},
		{"an initramfs cut short", "bbb", func(f, _ tree) {
			f["initrd.bin"].Data = f["initrd.bin"].Data[:len(f["initrd.bin"].Data)/2]
		}, "initrd.bin: damaged archive"},
		{"an initramfs without init", "bbb", func(f, _ tree) {
			f["initrd.bin"].Data = repacked(t, f["initrd.bin"].Data, "init\x00", "tini\x00")
		}, "initrd.bin: 1 modules, init is there: false"},
		{"an initramfs of text", "bbb", func(f, _ tree) { f["initrd.bin"].Data = []byte("text") }, "initrd.bin: "},
	} {
		s := slottest.New(t, c.board, 1)
		files, root := trees(s)
		c.damage(files, root)
		err := whole.Check(s.Board, slot.A, files, root)
		if !errors.Is(err, whole.ErrIncomplete) || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", c.name, err, c.want)
		}
	}
}

func TestAnEmptySlotIsRefusedInOneLine(t *testing.T) {
	for _, b := range board.All() {
		err := whole.Check(b, slot.A, fstest.MapFS{}, fstest.MapFS{})
		if !errors.Is(err, whole.ErrIncomplete) || !strings.Contains(err.Error(), "more") || len(err.Error()) > 500 {
			t.Errorf("%s: %v", b.Name, err)
		}
	}
}

// repacked is a gzipped file with a change in it.
func repacked(t *testing.T, packed []byte, from, to string) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var plain, out bytes.Buffer
	if _, err := plain.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	w := gzip.NewWriter(&out)
	_, err = w.Write(bytes.Replace(plain.Bytes(), []byte(from), []byte(to), 1))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func replace(f *fstest.MapFile, from, to string) {
	f.Data = bytes.ReplaceAll(f.Data, []byte(from), []byte(to))
}

// An archive of a stranger's ends in an error or in nothing, within limits.
func FuzzCheckArchive(f *testing.F) {
	s := slottest.New(f, "bbb", 1)
	z, err := gzip.NewReader(bytes.NewReader(s.Files["initrd.bin"]))
	if err != nil {
		f.Fatal(err)
	}
	var plain bytes.Buffer
	if _, err := plain.ReadFrom(z); err != nil {
		f.Fatal(err)
	}
	f.Add(plain.Bytes())
	f.Fuzz(func(t *testing.T, archive []byte) {
		files, root := trees(s)
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(archive); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		files["initrd.bin"].Data = packed.Bytes()
		if err := whole.Check(s.Board, slot.A, files, root); err != nil && !errors.Is(err, whole.ErrIncomplete) {
			t.Error(err)
		}
	})
}
