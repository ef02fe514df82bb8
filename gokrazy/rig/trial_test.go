//go:build long

// A slot on trial in the unmodified image: what init makes of a good version, one that crashes and
// one that cannot start. The other slot is written here, onto the card, so that nothing but the
// trial is looked at. scripts/test --long runs it.

package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/trial"
	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

// A cardFile is an image, and its partitions as the kernel counts them.
type cardFile struct {
	*os.File
	table disk.Table
}

// A partition is one of them, to write.
type partition struct {
	file        *os.File
	start, size int64
}

func (p partition) ReadAt(b []byte, at int64) (int, error) {
	return io.NewSectionReader(p.file, p.start, p.size).ReadAt(b, at)
}
func (p partition) WriteAt(b []byte, at int64) (int, error) { return p.file.WriteAt(b, p.start+at) }
func (p partition) Sync() error                             { return nil }

func (c cardFile) partition(i int) partition {
	p := c.table.Partitions[i]
	return partition{c.File, p.Start, p.Size}
}

// copyCard copies an image, holes and all.
func copyCard(t *testing.T, image string) cardFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(image))
	run(t, nil, "cp", "--sparse=always", image, path)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	table, err := disk.ReadTable(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return cardFile{f, table}
}

// fillSlotB makes slot b a copy of slot a that calls itself version, with files of the root changed.
// Without a root there is none.
func (c cardFile) fillSlotB(t *testing.T, version string, root []byte) {
	t.Helper()
	boot := c.partition(card.Boot)
	fat, err := disk.OpenFAT(boot, boot.size)
	if err != nil {
		t.Fatal(err)
	}
	a, err := fs.Sub(fat, card.SlotA)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	err = fs.WalkDir(a, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[path], err = fs.ReadFile(a, path)
		}
		return err
	})
	if err == nil {
		files[card.CmdlineName], err = slot.Cmdline(files[card.CmdlineName], slot.B)
	}
	if err != nil {
		t.Fatal(err)
	}
	files[card.ManifestName] = fmt.Appendf(nil, `{"format":1,"version":%q,"index":2000000000,"trial_s":5}`, version)
	var list []disk.FATFile
	for path, b := range files {
		list = append(list, disk.FATFile{Path: path, Size: int64(len(b)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(b)), nil
		}})
	}
	edit, err := disk.EditFolder(boot, boot.size, card.SlotB, card.SlotA)
	if err == nil {
		err = edit.Clear()
	}
	if err == nil {
		err = edit.Write(list)
	}
	if err == nil {
		_, err = c.partition(card.RootB).WriteAt(root, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// root gives the root of slot a with files changed; a file of no bytes is left out.
func (c cardFile) root(t *testing.T, changed map[string][]byte) []byte {
	t.Helper()
	p := c.partition(card.RootA)
	tree, err := disk.OpenSquashFS(p, p.size)
	if err != nil {
		t.Fatal(err)
	}
	var entries []disk.Entry
	err = fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := disk.Entry{Path: path, Mode: info.Mode()}
		switch b, ok := changed[path]; {
		case info.Mode()&fs.ModeSymlink != 0:
			e.Target, err = tree.ReadLink(path)
		case ok && b == nil:
			return nil
		case ok:
			e.Bytes = b
		case info.Mode().IsRegular():
			e.Bytes, err = fs.ReadFile(tree, path)
		}
		entries = append(entries, e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := disk.SquashFS(entries)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, make([]byte, -len(b)&4095)...)
}

// stage notes on /perm that slot b was written and is to be tried.
func (c cardFile) stage(t *testing.T, version string) {
	t.Helper()
	dir := t.TempDir()
	record := trial.Staged(card.SlotB, version, 2000000000, health.Sent, 5)
	if err := trial.Save(filepath.Join(dir, "trial.json"), trial.Kept{Record: &record}); err != nil {
		t.Fatal(err)
	}
	commands := filepath.Join(dir, "commands")
	script := "mkdir update\ncd update\nwrite " + filepath.Join(dir, "trial.json") + " trial.json\n"
	if err := os.WriteFile(commands, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, nil, "debugfs", "-w", "-f", commands, fmt.Sprintf("%s?offset=%d", c.Name(), c.partition(card.Perm).start))
}

// A trialVM is a board that begins with a staged update.
type trialVM struct{ *vm.Machine }

func startTrial(ctx context.Context, t *testing.T, c cardFile) *trialVM {
	t.Helper()
	v := &trialVM{}
	rtp := listenUDP(t).LocalAddr().(*net.UDPAddr).Port // nobody reads them
	seed, err := json.Marshal(map[string]any{"stream": map[string]any{
		"size": "320x240", "rtp": fmt.Sprintf("10.0.2.2:%d", rtp), "rtcp": fmt.Sprintf("10.0.2.2:%d", rtp+1),
	}})
	if err != nil {
		t.Fatal(err)
	}
	v.Machine, err = vm.Start(ctx, vm.Config{
		Image: c.Name(), Seed: seed, Camera: virtualcam.New(virtualcam.NewPattern()), Watchdog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		v.Close()
		if t.Failed() || testing.Verbose() {
			for _, l := range v.Lines() {
				if t.Failed() || strings.Contains(l.Text, "event=") {
					t.Logf("console %7.3f %s", l.At.Sub(v.Started()).Seconds(), l.Text)
				}
			}
		}
	})
	return v
}

// await waits for a line, and says when it came.
func (v *trialVM) await(ctx context.Context, t *testing.T, pattern string) time.Time {
	t.Helper()
	l, err := v.WaitLine(ctx, regexp.MustCompile(pattern))
	if err != nil {
		t.Fatalf("no line %q: %v", pattern, err)
	}
	return l.At
}

// pointers reads what the card says.
func (c cardFile) pointers(t *testing.T) slot.Pointers {
	t.Helper()
	info, err := c.Stat()
	if err != nil {
		t.Fatal(err)
	}
	opened, err := slot.Open(c, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return opened.Pointers()
}

func TestSlotOnTrialIsPromotedOrLeftInVM(t *testing.T) {
	image := builtImage(t)
	need.Tools(t, "qemu-system-aarch64", "debugfs")
	for _, c := range []struct {
		name     string
		root     func(*testing.T, cardFile) []byte
		outcome  string // the line that ends the trial
		promoted slot.Name
	}{
		{"good", func(t *testing.T, c cardFile) []byte { return c.root(t, nil) },
			`update v2 stays, in slot b`, slot.B},
		{"camsource crashes in a loop", func(t *testing.T, c cardFile) []byte {
			return c.root(t, map[string][]byte{"user/camsource": []byte("no program")})
		}, `update v2 failed: camsource (ended|reports)`, slot.A},
		{"no root", func(*testing.T, cardFile) []byte { return make([]byte, 1<<20) },
			`update v2 failed: the board came back without having started it`, slot.A},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			card := copyCard(t, image)
			card.fillSlotB(t, "v2", c.root(t, card))
			card.stage(t, "v2")
			v := startTrial(ctx, t, card)
			v.await(ctx, t, `init READY`)
			begin := time.Now()
			end := v.await(ctx, t, c.outcome)
			v.Close()
			if p := card.pointers(t); p.Firmware != c.promoted || p.UBoot != c.promoted || p.Try != slot.None ||
				p.Tryboot != c.promoted.Other() || len(p.Damaged) > 0 {
				t.Errorf("pointers %+v, want slot %s promoted and no trial", p, c.promoted)
			}
			t.Logf("FIGURE trial, %s: settled after %.1f s, %d starts", c.name, end.Sub(begin).Seconds(), v.Boots())
		})
	}
}

// A camsource that never reports: another program in its place, which runs and says nothing.
func TestCamsourceThatReportsNothingIsKilledAndStartedAgainInVM(t *testing.T) {
	image := builtImage(t)
	need.Tools(t, "qemu-system-aarch64")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	c := copyCard(t, image)
	root := c.partition(card.RootA)
	tree, err := disk.OpenSquashFS(root, root.size)
	if err != nil {
		t.Fatal(err)
	}
	mute, err := fs.ReadFile(tree, "gokrazy/ntp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.WriteAt(c.root(t, map[string][]byte{"user/camsource": mute}), 0); err != nil {
		t.Fatal(err)
	}
	v := startTrial(ctx, t, c)
	v.await(ctx, t, `init READY`)
	begin := time.Now()
	first := v.await(ctx, t, `camsource hangs: it is killed and started again`)
	second := v.await(ctx, t, `camsource hangs: it is killed and started again`)
	t.Logf("FIGURE camsource that reports nothing: killed after %.0f s, its successor %.0f s later",
		first.Sub(begin).Seconds(), second.Sub(first).Seconds())
	if v.Boots() != 1 {
		t.Errorf("%d starts of the board, want 1: the smallest restart helps", v.Boots())
	}
}
