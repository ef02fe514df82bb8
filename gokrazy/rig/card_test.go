// A card in a file, changed from outside while no board runs on it.

package rig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/trial"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A cardFile is one. Its partitions count from 0.
type cardFile struct {
	*os.File
	size  int64
	table disk.Table
}

// openCard opens it to change it, until the test ends.
func openCard(t *testing.T, path string) cardFile { return openDisk(t, path, os.O_RDWR) }

// openImage opens it to read it.
func openImage(t *testing.T, path string) cardFile { return openDisk(t, path, os.O_RDONLY) }

func openDisk(t *testing.T, path string, flag int) cardFile {
	t.Helper()
	f, size := openFile(t, path, flag)
	table, err := disk.ReadTable(f, size)
	if err != nil {
		t.Fatal(err)
	}
	return cardFile{f, size, table}
}

// A cardPart is the card from some byte on.
type cardPart struct {
	*os.File
	at int64
}

func (p cardPart) ReadAt(b []byte, at int64) (int, error)  { return p.File.ReadAt(b, p.at+at) }
func (p cardPart) WriteAt(b []byte, at int64) (int, error) { return p.File.WriteAt(b, p.at+at) }

// root reads the root of slot a.
func (c cardFile) root(t *testing.T) *disk.SquashFSTree {
	t.Helper()
	p := c.table.Partitions[card.RootA]
	root, err := disk.OpenSquashFS(io.NewSectionReader(c, p.Start, p.Size), p.Size)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// boot reads the boot partition.
func (c cardFile) boot(t *testing.T) fs.FS {
	t.Helper()
	boot, _, err := card.OpenBoot(c, c.size)
	if err != nil {
		t.Fatal(err)
	}
	return boot
}

// write puts bytes at the beginning of a partition.
func (c cardFile) write(t *testing.T, partition int, b []byte) {
	t.Helper()
	if _, err := c.WriteAt(b, c.table.Partitions[partition].Start); err != nil {
		t.Fatal(err)
	}
}

// writeBoot makes a folder of the boot partition, of which files is all.
func (c cardFile) writeBoot(t *testing.T, folder, other string, files map[string][]byte) {
	t.Helper()
	var list []disk.FATFile
	for _, name := range slices.Sorted(maps.Keys(files)) {
		b := files[name]
		list = append(list, disk.FATFile{Path: name, Size: int64(len(b)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(b)), nil
		}})
	}
	boot := c.table.Partitions[card.Boot]
	edit, err := disk.EditFolder(cardPart{c.File, boot.Start}, boot.Size, folder, other)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(edit.Clear(), edit.Write(list)); err != nil {
		t.Fatal(err)
	}
}

// perm is /perm of a card, as e2fsprogs take it.
func perm(t *testing.T, path string) string {
	t.Helper()
	return fmt.Sprintf("%s?offset=%d", path, openCard(t, path).table.Partitions[card.Perm].Start)
}

// bootPartition is the boot partition of a card, as mtools take it.
func bootPartition(t *testing.T, path string) string {
	t.Helper()
	return fmt.Sprintf("%s@@%d", path, openCard(t, path).table.Partitions[card.Boot].Start)
}

// putFiles writes files of root's, by their paths on /perm, over those that are there.
func putFiles(t *testing.T, path string, files map[string]string) {
	t.Helper()
	folders := map[string]bool{}
	for name := range files {
		for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
			folders[dir] = true
		}
	}
	var commands []string
	for _, dir := range slices.Sorted(maps.Keys(folders)) { // a folder before what is in it
		commands = append(commands, "mkdir "+dir)
	}
	host := t.TempDir()
	for name, content := range files {
		from := filepath.Join(host, strings.ReplaceAll(name, "/", "-"))
		if err := os.WriteFile(from, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		commands = append(commands, "rm "+name, "write "+from+" "+name)
	}
	at := perm(t, path)
	runDebugfs(t, at, commands)
	// debugfs says nothing in its exit code, and does not write over a journal that a lost power left.
	for name, content := range files {
		if got := run(t, nil, "debugfs", "-R", "cat "+name, at); !strings.Contains(got, strings.TrimSpace(content)) {
			t.Fatalf("%s on /perm is %.200q", name, got)
		}
	}
}

// runDebugfs runs commands that write into the ext4 at a place.
func runDebugfs(t *testing.T, at string, commands []string) {
	t.Helper()
	need.Tools(t, "debugfs")
	script := filepath.Join(t.TempDir(), "commands")
	if err := os.WriteFile(script, []byte(strings.Join(commands, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, nil, "debugfs", "-w", "-f", script, at)
}

// stage writes a version into slot b of the card and has it tried at the next start, as a board does: for
// the first time, or after tries of which nobody knows how they ended. It takes seconds; a Pi 3's emulated
// USB takes many minutes for as many bytes.
func (u *updatable) stage(t *testing.T, c content, version string, try int) {
	t.Helper()
	m, bytesOf := u.signer.manifest(t, c, version)
	raw, signature := u.signer.sign(t, m)
	files := maps.Clone(c.boot)
	files[card.ManifestName], files[card.SignatureName] = raw, signature
	var err error
	if files[card.CmdlineName], err = slot.Cmdline(files[card.CmdlineName], slot.B); err != nil {
		t.Fatal(err)
	}
	record := trial.Staged(card.SlotB, m.Version, m.Index, health.Sent, m.TrialS).Requested()
	record.Tries, record.Unexplained = try, try-1
	kept := filepath.Join(t.TempDir(), "trial.json")
	if err := trial.Save(kept, trial.Kept{Record: &record}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	putFiles(t, u.card, map[string]string{"update/trial.json": string(b)})
	to := openCard(t, u.card)
	to.write(t, card.RootB, bytesOf[m.Root().SHA256])
	to.writeBoot(t, card.SlotB, card.SlotA, files)
	pointers, err := slot.Open(cardPart{to.File, 0}, to.size)
	if err != nil {
		t.Fatal(err)
	}
	if err := pointers.RequestTrial(slot.B); err != nil {
		t.Fatal(err)
	}
}

// spool puts the root of a version into the board's spool, where it lies as if it had come before.
func (u *updatable) spool(t *testing.T, b *update.Bundle) {
	t.Helper()
	root := b.Manifest.Root()
	r, err := b.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	whole, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(control.Spool, "/perm/") + "/parts/" + root.SHA256
	host := filepath.Join(t.TempDir(), "root")
	if err := os.WriteFile(host, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	runDebugfs(t, perm(t, u.card), []string{
		"mkdir update", "mkdir update/spool", "mkdir update/spool/parts", "write " + host + " " + name,
	})
}
