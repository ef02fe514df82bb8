// What the unmodified image makes of a /perm that a version which failed, or damage, has left.

package rig

import (
	"context"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

func TestBoardStreamsWhateverIsOnPermInVM(t *testing.T) {
	image := builtImage(t)
	need.Tools(t, "qemu-system-aarch64", "debugfs")
	const (
		settings = growSeed
		newer    = `{"stream": {"size": "320x240", "rtp": "10.0.2.2:5004", "rtcp": "10.0.2.2:5005", "fps": 12,
			"codec": "vp9"}}`
		foreign = `{"format": 99, "settings": {"stream.fps": 12}}`
	)
	for _, c := range []struct {
		name  string
		fill  func(t *testing.T, path string)
		seed  []byte
		lines []string // in any order
	}{
		{"a version that failed had other settings", func(t *testing.T, path string) {
			putFiles(t, path, map[string]string{
				"a/krazycam.json": settings, "b/krazycam.json": newer,
				"b/begun.json": `{"format": 1, "trial": "v2/2", "from": "a"}`,
			})
		}, nil, []string{"settings that only the version that failed had do not count: stream.fps, stream.codec",
			`camsource READY .*size=320x240`}},
		{"a version with another format of everything failed", func(t *testing.T, path string) {
			putFiles(t, path, map[string]string{
				"a/krazycam.json": settings, "b/krazycam.json": foreign, "b/begun.json": foreign,
				"left-behind.json": foreign, "reset.json": foreign, "update/trial.json": foreign,
			})
		}, nil, []string{"format 99, this version knows 1", `camsource READY .*size=320x240`}},
		{"the superblock of /perm is gone", func(t *testing.T, path string) {
			openCard(t, path).write(t, card.Perm, make([]byte, 4096))
		}, []byte(growSeed), []string{`/perm: it was made anew`, "seed=taken", `camsource READY .*size=320x240`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			defer cancel()
			path := filepath.Join(t.TempDir(), "card")
			copyImage(t, path, image)
			c.fill(t, path)
			m, err := vm.Start(ctx, vm.Config{
				Image: path, Seed: c.seed,
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
