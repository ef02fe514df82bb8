// A bad version on boards whose slot U-Boot chooses: the real one, on a BeagleBone's image and on a Pi 3.

package rig

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

func TestABadVersionFallsBackOnABeagleBoneInVM(t *testing.T) {
	t.Parallel() // with the other board: each machine keeps one core busy
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	builtBone(t)
	u := newUpdatable(t, flashedImage(t, "bbb"))
	u.start(ctx, t, vm.Config{})
	u.fallsBack(ctx, t, badVersion{"v-init-exits", initExits, ""})
}

// A cardPart is what EditFolder wants of one.
type cardPart struct {
	*os.File
	at int64
}

func (p cardPart) ReadAt(b []byte, at int64) (int, error)  { return p.File.ReadAt(b, p.at+at) }
func (p cardPart) WriteAt(b []byte, at int64) (int, error) { return p.File.WriteAt(b, p.at+at) }

// stage writes a version into slot b of the card and asks for a trial of it, as the board does, but for
// the record of the trial on /perm. It takes seconds; the Pi 3's emulated USB takes many minutes.
func (u *updatable) stage(t *testing.T, c content, version string) {
	t.Helper()
	m, bytesOf := u.signer.manifest(t, c, version)
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	signing := minisign.NewReader(bytes.NewReader(raw))
	if _, err := io.Copy(io.Discard, signing); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(u.card, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	table, err := disk.ReadTable(f, size)
	if err != nil {
		t.Fatal(err)
	}
	files := maps.Clone(c.boot)
	files[card.ManifestName], files[card.SignatureName] = raw, signing.Sign(u.signer.private)
	if files[card.CmdlineName], err = slot.Cmdline(files[card.CmdlineName], slot.B); err != nil {
		t.Fatal(err)
	}
	boot := table.Partitions[card.Boot]
	edit, err := disk.EditFolder(cardPart{f, boot.Start}, boot.Size, card.SlotB, card.SlotA)
	if err != nil {
		t.Fatal(err)
	}
	root := bytesOf[m.Root().SHA256]
	_, rootErr := f.WriteAt(root, table.Partitions[card.RootB].Start)
	if err := errors.Join(rootErr, edit.Clear(), edit.Write(fatFiles(files))); err != nil {
		t.Fatal(err)
	}
	pointers, err := slot.Open(cardPart{f, 0}, size)
	if err != nil {
		t.Fatal(err)
	}
	if err := pointers.RequestTrial(slot.B); err != nil {
		t.Fatal(err)
	}
}

func TestUBootTriesASlotOnceAndGoesBackOnAPi3InVM(t *testing.T) {
	t.Parallel() // with the other board: each machine keeps one core busy
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	u.stage(t, initExits(t, u.content), "v-init-exits")
	u.start(ctx, t, vm.Config{Machine: vm.MachinePi3})
	for _, step := range []string{
		`^krazycam: slot b`,                 // U-Boot starts what is to be tried
		`Run /gokrazy/init as init process`, // its kernel, and its root, whose init exits
		`Kernel panic`,
		`^vm: played: the kernel wants a reset`,
		`^krazycam: slot a`,
		`camsource READY`,
	} {
		line, err := u.WaitLine(ctx, regexp.MustCompile(step))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("FIGURE rpi on a Pi 3: power on + %.1f s: %s", line.At.Sub(u.Lines()[0].At).Seconds(), line.Text)
	}
	if u.Boots() != 2 {
		t.Errorf("%d boots, want 2", u.Boots())
	}
	if s := u.streams(ctx, t, "a"); s.Promoted != "a" {
		t.Errorf("promoted is slot %s, want a", s.Promoted)
	}
}

func fatFiles(files map[string][]byte) (all []disk.FATFile) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		b := files[name]
		all = append(all, disk.FATFile{Path: name, Size: int64(len(b)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(b)), nil
		}})
	}
	return all
}
