// What the VM starts from: the kernel, the initramfs of board bbb, a card.

package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/need"
	krazycard "github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/initramfs"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

const mib = 1 << 20

func command(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	need.Tools(t, name)
	cmd := exec.Command(name, args...)
	cmd.Env = append(cmd.Environ(), env...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, complaint.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// program builds a program of the board and gives its bytes.
func program(t *testing.T, pkg string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	command(t, []string{"GOOS=linux", "GOARCH=arm", "GOARM=7", "CGO_ENABLED=0"}, "go", "build", "-trimpath",
		"-tags", "gokrazy,netgo,osusergo", "-ldflags", "-s -w -buildid= -X main.buildTime=1767225600", "-o", file,
		pkg)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bootFiles makes the initramfs of board bbb, and gives the kernel for it and the board's
// own arguments of the command line.
func bootFiles(t *testing.T) (kernel, initrd, arguments string) {
	t.Helper()
	flags := strings.Fields(command(t, nil, "../../../scripts/parts", "bbb"))
	folder := flags[slices.Index(flags, "--kernel")+1]
	releases, err := filepath.Glob(filepath.Join(folder, "lib/modules/*"))
	if err != nil || len(releases) != 1 {
		t.Fatalf("modules in %s: %q, %v", folder, releases, err)
	}
	b, err := board.ByName("bbb")
	if err != nil {
		t.Fatal(err)
	}
	initrd = filepath.Join(t.TempDir(), "initrd")
	f, err := os.Create(initrd)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	started := time.Now()
	init := program(t, ".")
	r, err := initramfs.Build(f,
		initramfs.Config{Init: init, Modules: os.DirFS(releases[0]), Early: b.EarlyModules, Late: b.LateModules})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("FIGURE initramfs bbb: %d bytes, %d unpacked, preinit %d, %d modules early, %d late, kernel %s",
		r.Packed, r.Unpacked, len(init), len(r.Early), len(r.Late), r.Release)
	t.Logf("made in %v, built in: %q", time.Since(started).Round(time.Millisecond), r.BuiltIn)
	return filepath.Join(folder, "vmlinuz"), initrd, strings.Join(b.Arguments, " ")
}

// card makes a card with the partitions of an image, smaller. Its root has init, and no
// modules.
func card(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "card.img"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := disk.Table{Disk: disk.GUID{1}, Size: 128 * mib}
	for i, size := range []int64{32 * mib, 32 * mib, 16 * mib, 32 * mib} {
		id := exampleGUID
		id[15] += byte(i)
		table.Partitions = append(table.Partitions,
			disk.Partition{Type: disk.TypeLinux, ID: id, Start: 4 * mib, Size: size})
		if i > 0 {
			table.Partitions[i].Start = table.Partitions[i-1].Start + table.Partitions[i-1].Size
		}
	}
	entries := []disk.Entry{
		{Path: "gokrazy/init", Mode: 0o755, Bytes: program(t, "../init")},
		{Path: "user/camsource", Mode: 0o755, Bytes: program(t, "./testdata/memory")},
		{Path: "etc/hostname", Bytes: []byte("krazycam")},
		{Path: "etc/resolv.conf", Mode: fs.ModeSymlink | 0o777, Target: "/tmp/resolv.conf"},
		{Path: "var", Mode: fs.ModeSymlink | 0o777, Target: "/perm/var"},
	}
	for _, d := range []string{"dev", "mnt", "perm", "proc", "run", "sys", "tmp"} {
		entries = append(entries, disk.Entry{Path: d, Mode: fs.ModeDir | 0o755})
	}
	root, err := disk.SquashFS(entries)
	if err != nil {
		t.Fatal(err)
	}
	perm := filepath.Join(dir, "perm")
	command(t, nil, "mke2fs", "-q", "-t", "ext4", perm, "32m")
	ext4, err := os.ReadFile(perm)
	if err != nil {
		t.Fatal(err)
	}
	p := table.Partitions
	_, rootErr := f.WriteAt(root, p[1].Start)
	_, permErr := f.WriteAt(ext4, p[3].Start)
	state := slot.StateSector(slot.State{Slot: slot.A})
	_, stateErr := f.WriteAt(state[:], krazycard.StateSector*disk.SectorSize)
	err = errors.Join(f.Truncate(table.Size), disk.WriteTable(f, table), rootErr, permErr, stateErr,
		disk.WriteFAT(io.NewOffsetWriter(f, p[0].Start), disk.FATOptions{Size: p[0].Size, Hidden: p[0].Start},
			[]disk.Entry{{Path: "krazycam.json", Bytes: []byte(`{"stream": {"fps": 15}}`)}}))
	if err != nil {
		t.Fatal(err)
	}
	return f.Name()
}
