//go:build linux

// Images that are made to take memory and time: camctl inspect and sources stay below 200 MB.

package main

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

const (
	mib       = 1 << 20
	mostMiB   = 200
	inspected = "KRAZYCAM_INSPECTED" // has this test be the process that is measured
)

// A bomb is what lies on boot partition and root of a hostile image.
type bomb struct {
	boot, root []disk.Entry
	change     func(t *testing.T, f *os.File) // after all is written
}

// write makes the image: with cmdline.txt and a kernel, unless the bomb has its own.
func (b bomb) write(t *testing.T) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "bomb.img"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := card.Table()
	if err != nil {
		t.Fatal(err)
	}
	line := "root=PARTUUID=" + card.PartitionID(1) + "/PARTNROFF=1\n"
	boot := []disk.Entry{{Path: "cmdline.txt", Bytes: []byte(line)}}
	names := map[string]bool{}
	for _, e := range b.boot {
		names[e.Path] = true
	}
	if !names["vmlinuz"] {
		boot = append(boot, disk.Entry{Path: "vmlinuz", Bytes: []byte("Linux version 6.1.0 x")})
	}
	root, err := disk.SquashFS(append(b.root, disk.Entry{Path: "etc/gokrazy/board", Bytes: []byte("rpi\n")}))
	if err != nil {
		t.Fatal(err)
	}
	p := table.Partitions[card.Boot]
	_, rootErr := f.WriteAt(root, table.Partitions[card.RootA].Start)
	err = errors.Join(f.Truncate(table.Size), disk.WriteTable(f, table), rootErr,
		disk.WriteFAT(io.NewOffsetWriter(f, p.Start), disk.FATOptions{Size: p.Size}, append(boot, b.boot...)))
	if err != nil {
		t.Fatal(err)
	}
	if b.change != nil {
		b.change(t, f)
	}
	return f.Name()
}

// packed is size zeros, gzipped.
func packed(t *testing.T, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := io.CopyN(z, endless{}, int64(size)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// program is an ELF file of a size whose section names take all of it.
func program(t *testing.T, size int, flags elf.SectionFlag) []byte {
	t.Helper()
	names := elf.Section64{Type: uint32(elf.SHT_STRTAB), Flags: uint64(flags), Off: 64 + 3*64,
		Size: uint64(size - 64 - 3*64)}
	dynamic := names
	dynamic.Type, dynamic.Link = uint32(elf.SHT_DYNAMIC), 1
	header := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_AARCH64),
		Version: 1, Shoff: 64, Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 1,
	}
	var out bytes.Buffer
	for _, part := range []any{header, elf.Section64{}, names, dynamic} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return append(out.Bytes(), make([]byte, size-out.Len())...)
}

// manyPrograms are n files of the same bytes, which a squashfs packs to nearly nothing.
func manyPrograms(n int, b []byte) (all []disk.Entry) {
	for i := range n {
		all = append(all, disk.Entry{Path: fmt.Sprintf("user/p%d", i), Mode: 0o755, Bytes: b})
	}
	return all
}

// manyFiles are small files in folders of 250.
func manyFiles(folder string, n int) (all []disk.Entry) {
	long := strings.Repeat("n", 200)
	for i := range n {
		all = append(all, disk.Entry{Path: fmt.Sprintf("%s/%d/%d%s", folder, i/250, i, long), Bytes: []byte{1}})
	}
	return all
}

func TestProcessInspectsHostileImagesInLittleMemory(t *testing.T) {
	if args := os.Getenv(inspected); args != "" {
		run(t.Context(), strings.Split(args, "\n"), io.Discard, os.Stdout)
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("\n%s\n", regexp.MustCompile(`VmHWM:\s+\d+ kB`).Find(status))
		return
	}
	for _, c := range []struct {
		name string
		bomb bomb
	}{
		{"a kernel of 60 MB", bomb{boot: []disk.Entry{{Path: "vmlinuz", Bytes: make([]byte, 60*mib)}}}},
		{"a kernel that unpacks to 1 GB", bomb{boot: []disk.Entry{{Path: "vmlinuz", Bytes: packed(t, 1<<30)}}}},
		{"a seed of 150 MB", bomb{boot: []disk.Entry{{Path: "krazycam.json", Bytes: make([]byte, 150*mib)}}}},
		{"a list of sources of 1 MB", bomb{boot: []disk.Entry{{Path: "sources.json",
			Bytes: []byte(`{"parts":[` + strings.Repeat("{},", 1<<18) + `{}]}`)}}}},
		{"a list that names the kernel 10,000 times", bomb{boot: []disk.Entry{
			{Path: "vmlinuz", Bytes: make([]byte, 60*mib)}, {Path: "sources.json", Bytes: []byte(
				`{"parts":[{"files":[` + strings.Repeat(`{"path":"boot:vmlinuz"},`, 10_000) + `{}]}]}`)}}}},
		{"programs of 23 MB", bomb{root: manyPrograms(12, program(t, 23*mib, 0))}},
		{"programs of 23 MB that say they are packed",
			bomb{root: manyPrograms(4, program(t, 23*mib, elf.SHF_COMPRESSED))}},
		{"programs of 200 MB", bomb{root: manyPrograms(4, make([]byte, 200*mib))}},
		{"15,000 files in the root", bomb{root: manyFiles("user", 15_000)}},
		{"5,000 files in the boot partition", bomb{boot: manyFiles("overlays", 5_000)}},
		{"a disk of 1 TB", bomb{change: func(t *testing.T, f *os.File) {
			table, err := card.Table()
			if err != nil {
				t.Fatal(err)
			}
			table.Size = 1 << 40
			if err := errors.Join(f.Truncate(table.Size), disk.WriteTable(f, table)); err != nil {
				t.Fatal(err)
			}
		}}},
		{"a partition of 1 TB", bomb{change: func(t *testing.T, f *os.File) {
			table, err := card.Table()
			if err != nil {
				t.Fatal(err)
			}
			table.Size = 2 << 40
			table.Partitions[card.Perm].Size = 1 << 40
			if err := errors.Join(f.Truncate(table.Size), disk.WriteTable(f, table)); err != nil {
				t.Fatal(err)
			}
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // the memory is that of a process of its own
			image := c.bomb.write(t)
			for _, verb := range []string{"inspect", "sources"} {
				cmd := exec.Command(os.Args[0], "-test.run", "^TestProcessInspectsHostileImagesInLittleMemory$")
				cmd.Env = append(os.Environ(), inspected+"="+verb+"\n"+image)
				out, err := cmd.CombinedOutput()
				peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(out)
				if err != nil || peak == nil {
					t.Fatalf("%s: %v\n%s", verb, err, out)
				}
				kib, _ := strconv.Atoi(string(peak[1]))
				t.Logf("FIGURE camctl %s, %s: %d MiB at most", verb, c.name, kib>>10)
				if kib>>10 >= mostMiB {
					t.Errorf("%s takes %d MiB, want less than %d\n%.300s", verb, kib>>10, mostMiB, out)
				}
			}
		})
	}
}
