package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

var noLog = slog.New(slog.DiscardHandler)

// buildImage builds an image in a folder of its own.
func buildImage(t testing.TB, p Parts) Result {
	t.Helper()
	r, err := Build(context.Background(), piBoard(t), p, filepath.Join(t.TempDir(), "cam.img"), noLog)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readOnlyImage is an image of fake parts that is built once for all tests.
func readOnlyImage(t testing.TB) Result {
	t.Helper()
	path := filepath.Join(imagetest.Folder(), "cam.img")
	if b, err := os.ReadFile(path + ".json"); err == nil {
		var r Result
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r, err := Build(context.Background(), piBoard(t), fakeParts(t), path, noLog)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	imagetest.Put(t, b, path+".json")
	return r
}

func TestTwoBuildsGiveTheSameBytes(t *testing.T) {
	first, second := readOnlyImage(t), buildImage(t, fakeParts(t))
	if first.SHA256 != second.SHA256 {
		t.Errorf("sha256 %s, then %s", first.SHA256, second.SHA256)
	}
	a, errA := os.ReadFile(first.SBOM)
	b, errB := os.ReadFile(second.SBOM)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("bills of materials differ, %v, %v", errA, errB)
	}
}

func TestIndependentToolsAcceptTheImage(t *testing.T) {
	r := readOnlyImage(t)
	for _, c := range []struct {
		tool      string
		partition int // -1: the whole image
		args      []string
	}{
		{"sgdisk", -1, []string{"-v"}},
		{"fsck.fat", card.Boot, []string{"-n"}},
		{"unsquashfs", card.RootA, []string{"-lls"}},
		{"e2fsck", card.Perm, []string{"-f", "-n"}},
	} {
		need.Tools(t, c.tool)
		file := r.Image
		if c.partition >= 0 {
			file = extract(t, r.Image, c.partition)
		}
		if out, err := exec.Command(c.tool, append(c.args, file)...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", c.tool, err, out)
		}
	}
}

// extract copies one partition into a file.
func extract(t *testing.T, image string, partition int) string {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := disk.ReadTable(f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	p := table.Partitions[partition]
	out, err := os.Create(filepath.Join(t.TempDir(), "partition"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, io.NewSectionReader(f, p.Start, p.Size)); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

// openRoot opens root A of an image until the test ends.
func openRoot(t *testing.T, image string) *disk.SquashFSTree {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	table, err := card.Table()
	if err != nil {
		t.Fatal(err)
	}
	p := table.Partitions[card.RootA]
	root, err := disk.OpenSquashFS(io.NewSectionReader(f, p.Start, p.Size), p.Size)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestRootHoldsWhatGokrazyExpects(t *testing.T) {
	built := readOnlyImage(t)
	root := openRoot(t, built.Image)
	sbom, err := os.ReadFile(built.SBOM)
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range rootFolders {
		if info, err := root.Stat(folder); err != nil || !info.IsDir() {
			t.Errorf("%s: %v", folder, err)
		}
	}
	for link, want := range map[string]string{"var": "/perm/var", "etc/resolv.conf": "/tmp/resolv.conf"} {
		if got, err := root.ReadLink(link); got != want {
			t.Errorf("%s -> %q, %v; want %q", link, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"etc/hostname": "krazycam", "etc/http-port.txt": "80", "etc/gokrazy/mountdevices.json": "null\n",
		"etc/gokrazy/sbom.json": fmt.Sprintf(`{"sbom":null,"sbom_hash":"%x"}`, sha256.Sum256(sbom)),
	} {
		if got, err := fs.ReadFile(root, name); string(got) != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := root.Stat("etc/gokr-pw.txt"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("gokr-pw.txt: %v; a password would open the unsigned update handlers", err)
	}
	if pem, err := fs.ReadFile(root, "etc/ssl/ca-bundle.pem"); bytes.Count(pem, []byte("BEGIN CERTIFICATE")) < 50 {
		t.Errorf("ca-bundle.pem has %d bytes, %v", len(pem), err)
	}
}

func TestCommandLineNamesRootAAndTheWatchdog(t *testing.T) {
	line, err := cmdline(piBoard(t))
	if err != nil {
		t.Fatal(err)
	}
	args, rest, found := strings.Cut(string(line), "\n")
	if !found || rest != "" || strings.TrimSpace(args) != args {
		t.Errorf("command line %q: want one line", line)
	}
	for _, want := range []string{"console=tty1 console=serial0,115200 ",
		" root=PARTUUID=60c24cc1-f3f9-427a-8199-5b1ce0010001/PARTNROFF=1 ",
		" init=/gokrazy/init ", " panic=10 oops=panic", " watchdog.open_timeout=60"} {
		if !strings.Contains(args, want) {
			t.Errorf("no %q in %q", want, args)
		}
	}
	if n, err := slot.CmdlineSlot(line); n != slot.A || err != nil {
		t.Errorf("the line is that of slot %q, %v", n, err)
	}
}

// What a switch relies on: one sector each, in one cluster, with one letter between them.
func TestEveryPlaceThatNamesASlotIsOneSector(t *testing.T) {
	f, err := os.Open(readOnlyImage(t).Image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	boot, start, err := card.OpenBoot(f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, name := range []string{card.ConfigName, card.TrybootName} {
		at, size, err := boot.Extent(name)
		if err != nil || size != disk.SectorSize || (start+at)%disk.SectorSize != 0 {
			t.Errorf("%s: %d bytes at %d, %v; want one sector", name, size, start+at, err)
		}
		b, err := fs.ReadFile(boot, name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(b)
	}
	want := strings.ReplaceAll(texts[card.ConfigName], "os_prefix=a/", "os_prefix=b/")
	if want != texts[card.TrybootName] || strings.Count(want, "os_prefix=b/") != 2 {
		t.Errorf("tryboot.txt is %q, config.txt %q", texts[card.TrybootName], texts[card.ConfigName])
	}
	c, err := slot.Open(readOnly{f}, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Pointers(); p.Firmware != slot.A || p.Tryboot != slot.B || p.UBoot != slot.A || p.Try != slot.None ||
		len(p.Damaged) != 0 {
		t.Errorf("a new image says %+v", p)
	}
}

// readOnly is an image that nothing may be written to.
type readOnly struct{ *os.File }

func (readOnly) WriteAt([]byte, int64) (int, error) { return 0, fs.ErrPermission }
func (readOnly) Sync() error                        { return fs.ErrPermission }

func TestNothingThatStartsLiesOutsideASlot(t *testing.T) {
	f, err := os.Open(readOnlyImage(t).Image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	boot, _, err := card.OpenBoot(f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{board.KernelName, card.CmdlineName, card.InitrdName, "kernel8.img", "b",
		"bcm2711-rpi-4-b.dtb"} {
		if _, err := fs.Stat(boot, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s lies beside the slots: %v", name, err)
		}
	}
	for _, name := range piBoard(t).SlotFiles {
		if _, err := fs.Stat(boot, "a/"+name); err != nil {
			t.Errorf("slot a: %v", err)
		}
	}
	for _, name := range []string{"bcm2710-rpi-3-b.dtb", "overlays/disable-bt.dtbo", "u-boot.bin", "boot.scr"} {
		if _, err := fs.Stat(boot, name); err != nil {
			t.Errorf("for a Pi 3: %v", err)
		}
	}
}

func TestBuildThatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Build(ctx, piBoard(t), fakeParts(t), filepath.Join(dir, "cam.img"), noLog); err == nil {
		t.Fatal("no error")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestBootPartitionHoldsEveryLicence(t *testing.T) {
	m, err := readParts(piBoard(t), fakeParts(t))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, e := range m.licences {
		have[e.Path] = len(e.Bytes) > 0
	}
	for _, want := range []string{"go/std", "go/github.com_krazycam_krazycam", "example.com_kernel",
		"example.com_firmware", "u-boot-rpi", "libvpx", "libyuv", "libjpeg-turbo"} {
		if !have["LICENCES/"+want+".txt"] {
			t.Errorf("no licence text of %s", want)
		}
	}
}

// The boot firmware of a Pi 4 and 5 writes its EEPROM anew if it finds these files.
func TestImageLeavesTheEEPROMOfABoardAlone(t *testing.T) {
	p, b := fakeParts(t), piBoard(t)
	m, err := readParts(b, p)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := bootEntries(b, p, m)
	if err != nil {
		t.Fatal(err)
	}
	firmware := 0
	for _, e := range entries {
		switch name := strings.ToLower(e.Path); {
		case strings.HasPrefix(name, "start"):
			firmware++
		case strings.HasPrefix(name, "pieeprom"), strings.HasPrefix(name, "vl805"), strings.HasPrefix(name, "recovery"):
			t.Errorf("the boot partition holds %s", e.Path)
		}
	}
	if firmware != 4 {
		t.Errorf("%d start*.elf, want 4", firmware)
	}
}

// readSeed gives the seed of an image with what fills its place.
func readSeed(t *testing.T, image string) []byte {
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
	b, err := fs.ReadFile(boot, card.SeedName)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDefaultsOfAnImageLieInItsRootAndNotInTheSeed(t *testing.T) {
	p := fakeParts(t)
	p.Defaults = []byte(`{"stream": {"fps": 25}}`)
	// A card's own seed would throw defaults away that lie there.
	image := buildImage(t, p).Image
	if b := readSeed(t, image); len(b) != card.SeedSize || len(bytes.TrimSpace(b)) != 0 ||
		b[card.SeedSize-1] != '\n' {
		t.Errorf("seed of %d bytes: %q, want a placeholder", len(b), bytes.TrimSpace(b))
	}
	root := openRoot(t, image)
	if got, err := fs.ReadFile(root, config.ImageDefaults[1:]); err != nil || string(got) != string(p.Defaults) {
		t.Errorf("defaults in the root: %q, %v", got, err)
	}
}
