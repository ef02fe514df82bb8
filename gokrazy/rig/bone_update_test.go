// Root A, root B and back by gokrazy's own update and switch, through U-Boot. The image
// is the board's with one file more: a password, which opens gokrazy's handlers.

package rig

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

const gokrazyPassword = "of-a-test"

// An updatedBone is a bone in its VM that takes gokrazy's updates.
type updatedBone struct {
	*rig
	base string // URL
}

// readRoot lists what lies in root A of an image.
func readRoot(t *testing.T, image string) (all []disk.Entry) {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := card.Table()
	if err != nil {
		t.Fatal(err)
	}
	p := table.Partitions[card.RootA]
	root, err := disk.OpenSquashFS(io.NewSectionReader(f, p.Start, p.Size), p.Size)
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		e := disk.Entry{Path: name}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch e.Mode = info.Mode(); {
		case e.Mode.IsRegular():
			e.Bytes, err = fs.ReadFile(root, name)
		case e.Mode.Type() == fs.ModeSymlink:
			e.Target, err = root.ReadLink(name)
		}
		all = append(all, e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// rootWithPassword packs a board's root with a password and, as a mark that the status
// page shows, another fingerprint of its bill of materials.
func rootWithPassword(t *testing.T, entries []disk.Entry, mark string) []byte {
	t.Helper()
	entries = append(slices.Clone(entries),
		disk.Entry{Path: "etc/gokr-pw.txt", Mode: 0o400, Bytes: []byte(gokrazyPassword)})
	at := slices.IndexFunc(entries, func(e disk.Entry) bool { return e.Path == "etc/gokrazy/sbom.json" })
	if at < 0 {
		t.Fatal("the root has no bill of materials")
	}
	entries[at].Bytes = fmt.Appendf(nil, `{"sbom_hash": %q}`, mark)
	root, err := disk.SquashFS(entries)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// copyWithRoot is the image of scripts/image bbb with another root A.
func copyWithRoot(t *testing.T, root []byte) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "bbb.img")
	copyImage(t, image, builtBone(t))
	table, err := card.Table()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(root, table.Partitions[card.RootA].Start); err != nil {
		t.Fatal(err)
	}
	return image
}

func startUpdatedBone(ctx context.Context, t *testing.T, image string) *updatedBone {
	t.Helper()
	g := &rig{source: stampedFace(t), tap: newTap(t)}
	g.startFarEnd(t, nil)
	port := freeTCPPort(t)
	var err error
	g.Machine, err = vm.Start(ctx, vm.Config{
		Image: image, Seed: g.seed(t), Camera: virtualcam.New(g.source),
		Forwards: []vm.Forward{{Host: port, Guest: 80}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Close()
		if t.Failed() {
			lines := g.Lines()
			for _, l := range lines[max(0, len(lines)-60):] {
				t.Log(l.Text)
			}
		}
	})
	return &updatedBone{g, fmt.Sprintf("http://127.0.0.1:%d", port)}
}

func freeTCPPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// ask sends one request to gokrazy and gives the answer's body.
func (u *updatedBone) ask(ctx context.Context, t *testing.T, method, path string, body []byte) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, u.base+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("gokrazy", gokrazyPassword)
	r.Header.Set("Accept", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v: %s", method, path, answer.Status, err, b)
	}
	return b
}

// streams waits for the boot from a partition and for frames of it, and asks the status
// page whether it is the root with that mark.
func (u *updatedBone) streams(ctx context.Context, t *testing.T, partition, mark string) {
	t.Helper()
	ready := regexp.MustCompile(`preinit READY .*failed=0 .*root=/dev/` + partition + ` `)
	if _, err := u.WaitLine(ctx, ready); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for had := u.tap.counted().frames; u.tap.counted().frames < had+30; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d frames from root %s: %v", u.tap.counted().frames-had, partition, ctx.Err())
		}
	}
	var status struct {
		SBOMHash string
		Meminfo  map[string]int64 // bytes
	}
	if err := json.Unmarshal(u.ask(ctx, t, http.MethodGet, "/", nil), &status); err != nil {
		t.Fatal(err)
	}
	t.Logf("FIGURE bbb streams from %s %.0f s after power on, %d of %d MiB are free",
		partition, time.Since(u.Started()).Seconds(),
		status.Meminfo["MemAvailable"]>>20, status.Meminfo["MemTotal"]>>20)
	if status.SBOMHash != mark {
		t.Errorf("root %s is %q, want %q", partition, status.SBOMHash, mark)
	}
}

// update writes a root, switches to it and reboots.
func (u *updatedBone) update(ctx context.Context, t *testing.T, root []byte, offset string) {
	t.Helper()
	began := time.Now()
	got, want := string(u.ask(ctx, t, http.MethodPut, "/update/root", root)), fmt.Sprintf("%x", sha256.Sum256(root))
	if got != want {
		t.Fatalf("the board took a root of sha256 %s, it is %s", got, want)
	}
	t.Logf("FIGURE bbb took a root of %d bytes in %.1f s", len(root), time.Since(began).Seconds())
	began = time.Now()
	u.ask(ctx, t, http.MethodPost, "/update/switch", nil)
	u.ask(ctx, t, http.MethodPost, "/reboot", nil)
	if _, err := u.WaitLine(ctx, regexp.MustCompile(`^U-Boot 20`)); err != nil {
		t.Fatal(err)
	}
	t.Logf("FIGURE bbb from the switch to U-Boot %.1f s", time.Since(began).Seconds())
	if line := commandLine(t, u.Image()); !strings.Contains(line, "/PARTNROFF="+offset+" ") {
		t.Errorf("command line after the switch: %q", line)
	}
}

func commandLine(t *testing.T, image string) string {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	boot, _, err := card.OpenBoot(f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	line, err := fs.ReadFile(boot, card.CmdlineName)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

// beforePartitions is the image up to its first partition: partition table and loaders.
func beforePartitions(t *testing.T, image string) []byte {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, card.BootStart)
	if _, err := io.ReadFull(f, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBoneGoesFromRootAToBAndBackThroughUBootInVM(t *testing.T) {
	entries := readRoot(t, builtBone(t))
	image := copyWithRoot(t, rootWithPassword(t, entries, "first"))
	loaders := beforePartitions(t, image)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	u := startUpdatedBone(ctx, t, image)
	u.streams(ctx, t, "vda2", "first")
	u.update(ctx, t, rootWithPassword(t, entries, "second"), "2")
	u.streams(ctx, t, "vda3", "second")
	u.update(ctx, t, rootWithPassword(t, entries, "third"), "1")
	u.streams(ctx, t, "vda2", "third")
	if u.Boots() != 3 {
		t.Errorf("%d boots, want 3", u.Boots())
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if after := beforePartitions(t, image); !bytes.Equal(after, loaders) {
		t.Error("the bytes before the first partition changed: MLO and u-boot.img lie there")
	}
	if all := problems(t, image); len(all) != 0 {
		t.Errorf("inspect afterwards: problems %q", all)
	}
}
