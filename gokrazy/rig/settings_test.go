// What the unmodified image makes of a /perm that a version which failed, or damage, has left.

package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

// cardWithPerm is a card of a built image, on whose /perm fill has worked.
func cardWithPerm(t *testing.T, image string, fill func(perm string)) string {
	t.Helper()
	dir := t.TempDir()
	path, perm := filepath.Join(dir, "card"), filepath.Join(dir, "perm")
	run(t, nil, "cp", "--sparse=always", image, path)
	start := permStart(t, path)
	run(t, nil, "dd", "if="+path, "of="+perm, "bs=1M", "conv=sparse", "status=none",
		fmt.Sprintf("skip=%d", start>>20), fmt.Sprintf("count=%d", card.PermSize>>20))
	fill(perm)
	run(t, nil, "dd", "if="+perm, "of="+path, "bs=1M", "conv=notrunc", "status=none",
		fmt.Sprintf("seek=%d", start>>20))
	return path
}

// putFiles writes files, by their paths, into an ext4 that is not mounted.
func putFiles(t *testing.T, perm string, files map[string]string) {
	t.Helper()
	folders := map[string]bool{}
	for name := range files {
		for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
			folders[dir] = true
		}
	}
	var commands []string
	for dir := range folders {
		commands = append(commands, "mkdir "+dir)
	}
	slices.Sort(commands) // a folder before what is in it
	host := t.TempDir()
	for name, content := range files {
		from := filepath.Join(host, strings.ReplaceAll(name, "/", "-"))
		if err := os.WriteFile(from, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		commands = append(commands, "write "+from+" "+name)
	}
	script := filepath.Join(host, "commands")
	if err := os.WriteFile(script, []byte(strings.Join(commands, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, nil, "debugfs", "-w", "-f", script, perm)
}

func TestBoardStreamsWhateverIsOnPermInVM(t *testing.T) {
	image := builtImage(t)
	need.Tools(t, "qemu-system-aarch64", "debugfs", "cp", "dd")
	const (
		settings = growSeed
		newer    = `{"stream": {"size": "320x240", "rtp": "10.0.2.2:5004", "rtcp": "10.0.2.2:5005", "fps": 12,
			"codec": "vp9"}}`
		foreign = `{"format": 99, "settings": {"stream.fps": 12}}`
	)
	for _, c := range []struct {
		name  string
		fill  func(t *testing.T, perm string)
		seed  []byte
		lines []string // in any order
	}{
		{"a version that failed had other settings", func(t *testing.T, perm string) {
			putFiles(t, perm, map[string]string{
				"a/krazycam.json": settings, "b/krazycam.json": newer,
				"b/begun.json": `{"format": 1, "trial": "v2/2", "from": "a"}`,
			})
		}, nil, []string{"settings that only the version that failed had do not count: stream.fps, stream.codec",
			`camsource READY .*size=320x240`}},
		{"a version with another format of everything failed", func(t *testing.T, perm string) {
			putFiles(t, perm, map[string]string{
				"a/krazycam.json": settings, "b/krazycam.json": foreign, "b/begun.json": foreign,
				"left-behind.json": foreign, "reset.json": foreign, "update/trial.json": foreign,
			})
		}, nil, []string{"format 99, this version knows 1", `camsource READY .*size=320x240`}},
		{"the superblock of /perm is gone", func(t *testing.T, perm string) {
			f, err := os.OpenFile(perm, os.O_RDWR, 0)
			if err == nil {
				_, err = f.WriteAt(make([]byte, 4096), 0)
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}, []byte(growSeed), []string{`/perm: it was made anew`, "seed=taken", `camsource READY .*size=320x240`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			defer cancel()
			m, err := vm.Start(ctx, vm.Config{
				Image: cardWithPerm(t, image, func(perm string) { c.fill(t, perm) }), Seed: c.seed,
				Camera: virtualcam.New(virtualcam.NewPattern()), Console: io.Discard,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			waitForLines(ctx, t, m, c.lines)
		})
	}
}
