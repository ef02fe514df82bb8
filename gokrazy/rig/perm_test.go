// /perm on a card that is larger than the image: it grows while it is mounted, at any power cut.

package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/flash"
	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/gokrazy/vm/writelog"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

const (
	// largeCard is the card; its /perm is three times that of the image.
	largeCard = card.ImageSize + 1<<30
	permCuts  = 24
)

// growSeed streams without a gateway.
const growSeed = `{"stream": {"size": "320x240", "rtp": "10.0.2.2:5004", "rtcp": "10.0.2.2:5005"}}`

// recordRun boots a card until a line has come, and gives what was written to it.
func recordRun(ctx context.Context, t *testing.T, c vm.Config, until ...string) *writelog.Log {
	t.Helper()
	c.WriteLog = filepath.Join(t.TempDir(), "writes")
	m, err := vm.Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	waitForLines(ctx, t, m, until)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	f, size := openFile(t, c.WriteLog, os.O_RDONLY)
	l, err := writelog.Read(f, size)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// waitForLines waits until each expression has matched a line, in any order.
func waitForLines(ctx context.Context, t *testing.T, m *vm.Machine, expressions []string) {
	t.Helper()
	for left := slices.Clone(expressions); len(left) > 0; {
		l, err := m.WaitLine(ctx, regexp.MustCompile(strings.Join(left, "|")))
		if err != nil {
			for _, l := range m.Lines() {
				t.Log(l.Text)
			}
			t.Fatalf("no line with %q: %v", left, err)
		}
		t.Logf("after %v: %s", l.At.Sub(m.Started()).Round(100*time.Millisecond), l.Text)
		left = slices.DeleteFunc(left, func(e string) bool { return regexp.MustCompile(e).MatchString(l.Text) })
	}
}

func TestPermGrowsAtAnyPowerCutInVM(t *testing.T) {
	image := builtImage(t)
	need.Tools(t, "qemu-system-aarch64", "e2fsck", "dumpe2fs", "cp", "dd")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	dir := t.TempDir()
	large := filepath.Join(dir, "card")
	f, err := os.Create(large)
	if err := errors.Join(err, f.Truncate(largeCard), f.Close()); err != nil {
		t.Fatal(err)
	}
	opened, err := flash.OpenImage(ctx, image, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	done, err := flash.Card(ctx, flash.Job{Image: opened, Target: large, Seed: []byte(growSeed)})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("FIGURE flash: %d of the image's %d MiB written to a card that reads as zeros",
		done.Written>>20, done.Bytes>>20)
	part := permPart{start: openCard(t, large).table.Partitions[card.Perm].Start, file: filepath.Join(dir, "perm")}
	run(t, nil, "dd", "if="+large, "of="+part.file, "bs=1M", "conv=sparse", "status=none",
		fmt.Sprintf("skip=%d", part.start>>20))
	log := recordRun(ctx, t, vm.Config{
		Image: large, Snapshot: true, Camera: virtualcam.New(virtualcam.NewPattern()),
	}, "/perm has grown", "camsource READY")

	before, _ := openFile(t, large, os.O_RDONLY)
	replay := writelog.NewReplay(log, before)
	blocks := map[string]bool{}
	for cut := range permCuts {
		n := len(log.Entries) * (cut + 1) / permCuts
		blocks[part.check(t, replay.Cut(n, uint64(cut)))] = true
	}
	whole := part.check(t, replay.Whole())
	const want = (1<<30 + card.PermSize) / 4096
	if whole != fmt.Sprint(want) {
		t.Errorf("after it has grown, /perm has %s blocks, want %d", whole, want)
	}
	t.Logf("FIGURE /perm grows on a card that is 1 GiB larger: %d power cuts in %d writes, %d sizes seen, e2fsck "+
		"repairs nothing but the journal", permCuts, len(log.Entries), len(blocks))
}

// A permPart is the partition /perm of a card, as it was before the log, in a file of its own.
type permPart struct {
	start int64 // on the card
	file  string
}

// A partWriter takes writes to the card, of which it keeps those to the partition.
type partWriter struct {
	permPart
	to io.WriterAt
}

func (w partWriter) WriteAt(b []byte, at int64) (int, error) {
	if at < w.start {
		return len(b), nil
	}
	return w.to.WriteAt(b, at-w.start)
}

// check has e2fsck look at /perm of a disk after a power cut, as a board's kernel would take it
// up: the journal is replayed, and nothing else may need repair. It returns the number of blocks.
func (p permPart) check(t *testing.T, d *writelog.Disk) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cut")
	run(t, nil, "cp", "--sparse=always", p.file, path)
	defer os.Remove(path)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		err = errors.Join(d.WriteChanges(partWriter{p, f}), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("e2fsck", "-p", path).CombinedOutput() // as at a boot: the journal
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Errorf("e2fsck -p: %v\n%s", err, out)
	}
	if out, err := exec.Command("e2fsck", "-f", "-n", path).CombinedOutput(); err != nil {
		t.Errorf("e2fsck after the journal: %v\n%s", err, out)
	}
	found := regexp.MustCompile(`(?m)^Block count: +(\d+)$`).FindStringSubmatch(run(t, nil, "dumpe2fs", "-h", path))
	if found == nil {
		t.Fatal("dumpe2fs says no block count")
	}
	return found[1]
}
