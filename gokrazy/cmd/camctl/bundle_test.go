package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// slotImage makes a small image whose slot a has a manifest. change may spoil the manifest and the
// files before they are written.
func slotImage(t *testing.T, change func(m *update.Manifest, files map[string]string)) string {
	t.Helper()
	files := map[string]string{"vmlinuz": "kernel", "cmdline.txt": "PARTNROFF=1\n", "overlays/README": "x"}
	root := bytes.Repeat([]byte("root "), 100_000)
	m := update.Manifest{Format: 1, Board: "rpi", Version: "v1", Index: 1_790_000_000, TrialS: 60, MinimumLayout: 1}
	add := func(name string, b []byte) {
		sum := sha256.Sum256(b)
		m.Parts = append(m.Parts, update.Part{Name: name, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])})
	}
	for _, name := range []string{"cmdline.txt", "overlays/README", "vmlinuz"} {
		add(update.BootPrefix+name, []byte(files[name]))
	}
	add(update.RootName, root)
	if change != nil {
		change(&m, files)
	}
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	boot := []disk.Entry{{Path: "a/manifest.json", Bytes: raw}}
	for name, text := range files {
		boot = append(boot, disk.Entry{Path: "a/" + name, Bytes: []byte(text)})
	}
	const mib = 1 << 20
	table := disk.Table{Disk: disk.GUID{1}, Size: 16 * mib}
	for i, size := range []int64{8, 1, 1, 1} {
		start := int64(mib)
		if i > 0 {
			start = int64(8+i) * mib
		}
		table.Partitions = append(table.Partitions,
			disk.Partition{Type: disk.TypeLinux, ID: disk.GUID{byte(2 + i)}, Start: start, Size: size * mib})
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "slot.img"))
	if err != nil {
		t.Fatal(err)
	}
	_, rootErr := f.WriteAt(root, table.Partitions[card.RootA].Start)
	err = errors.Join(rootErr, f.Truncate(table.Size), disk.WriteTable(f, table),
		disk.WriteFAT(io.NewOffsetWriter(f, mib), disk.FATOptions{Size: 8 * mib}, boot), f.Close())
	if err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// newBundle makes a bundle and opens it.
func newBundle(t *testing.T, args ...string) (bundleReport, *update.Bundle) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "x.update")
	args = append([]string{"bundle", "--json", "--board", "rpi", "-o", out}, args...)
	code, stdout, stderr := camctl(t, args...)
	if code != exitDone {
		t.Fatalf("camctl %q: exit code %d, %s", args, code, stderr)
	}
	var r bundleReport
	b, err := os.ReadFile(out)
	if err := errors.Join(err, json.Unmarshal([]byte(stdout), &r)); err != nil {
		t.Fatal(err)
	}
	bundle, err := update.OpenBundle(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(b); r.SHA256 != hex.EncodeToString(sum[:]) || r.Size != int64(len(b)) || r.Bundle != out {
		t.Errorf("report %+v of %d bytes", r, len(b))
	}
	return r, bundle
}

func TestBundleIsTheImagesSlotSigned(t *testing.T) {
	keys, image := newKeys(t), slotImage(t, nil)
	r, b := newBundle(t, "--key", keys.Secret, "--image", image)
	m := b.Manifest
	if m.Board != "rpi" || m.Version != "v1" || m.Index != 1_790_000_000 || m.TrialS != 60 ||
		!slices.Equal(m.Keys, []string{keys.Key}) || r.Signed != keys.Name || len(m.Parts) != 4 {
		t.Errorf("manifest %+v, report %+v", m, r)
	}
	if err := update.Verify(b.Raw, b.Signature, []string{keys.Key}); err != nil {
		t.Error(err)
	}
	err := update.WriteBundle(io.Discard, b.Raw, b.Signature, m.Parts, b.Open)
	if err != nil {
		t.Errorf("its parts: %v", err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, update.ManifestName)
	err = errors.Join(os.WriteFile(file, b.Raw, 0o600), os.WriteFile(file+".minisig", b.Signature, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	said := runMinisign(t, "", file, "-V", "-p", keys.Public, "-m", update.ManifestName)
	if !strings.Contains(said, "krazycam v1 for rpi, index 1790000000") {
		t.Errorf("minisign says %q", said)
	}
}

func TestSameImageAndKeyGiveTheSameBundle(t *testing.T) {
	keys, image := newKeys(t), slotImage(t, nil)
	first, _ := newBundle(t, "--key", keys.Secret, "--image", image)
	second, _ := newBundle(t, "--key", keys.Secret, "--image", image)
	if first.SHA256 != second.SHA256 {
		t.Errorf("sha256 %s, then %s", first.SHA256, second.SHA256)
	}
}

func TestBundleSaysWhatTheCommandLineSays(t *testing.T) {
	keys, next, other := newKeys(t), newKeys(t), newKeys(t)
	image := slotImage(t, func(m *update.Manifest, _ map[string]string) { m.Keys = []string{other.Key, keys.Key} })
	_, b := newBundle(t, "--key", keys.Secret, "--image", image)
	if !slices.Equal(b.Manifest.Keys, []string{other.Key, keys.Key}) {
		t.Errorf("keys %v, want the image's", b.Manifest.Keys)
	}
	_, b = newBundle(t, "--key", keys.Secret, "--image", image, "--version", "v2", "--index", "1790000001",
		"--trial-s", "5", "--next-key", next.Public, "--next-key", keys.Public, "--since", image)
	m := b.Manifest
	if m.Version != "v2" || m.Index != 1_790_000_001 || m.TrialS != 5 ||
		!slices.Equal(m.Keys, []string{next.Key, keys.Key}) {
		t.Errorf("manifest %+v", m)
	}
	if err := update.Verify(b.Raw, b.Signature, []string{keys.Key}); err != nil {
		t.Errorf("the old key hands over: %v", err)
	}
}

func TestBundlesName(t *testing.T) {
	keys, image := newKeys(t), slotImage(t, nil)
	t.Chdir(t.TempDir())
	code, stdout, stderr := camctl(t, "bundle", "--board", "rpi", "--key", keys.Secret, "--image", image)
	next := "the next update must be signed by " + keys.Name
	if code != exitDone || !strings.HasPrefix(stdout, "krazycam-v1-rpi.update: version v1 for board rpi") ||
		!strings.Contains(stdout, next) || !strings.Contains(stderr, "100 %") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if _, err := os.Stat("krazycam-v1-rpi.update"); err != nil {
		t.Error(err)
	}
}

func TestNoBundleIsMade(t *testing.T) {
	keys := newKeys(t)
	good := slotImage(t, nil)
	out := filepath.Join(t.TempDir(), "x.update")
	_, last := newBundle(t, "--key", keys.Secret, "--image", good)
	lastFile := filepath.Join(t.TempDir(), "last.update")
	var b bytes.Buffer
	err := update.WriteBundle(&b, last.Raw, last.Signature, last.Manifest.Parts, last.Open)
	if err := errors.Join(err, os.WriteFile(lastFile, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	with := func(change func(m *update.Manifest, files map[string]string)) []string {
		return []string{"--image", slotImage(t, change)}
	}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no image", []string{"--image", filepath.Join(t.TempDir(), "none.img")}, "scripts/image rpi makes it"},
		{"no image of ours", []string{"--image", keys.Public}, "GPT"},
		{"an image without slots", []string{"--image", tinyImage(t, t.TempDir())}, "1 partitions"},
		{"an image of another board",
			with(func(m *update.Manifest, _ map[string]string) { m.Board = "bbb" }), "for board bbb, not rpi"},
		{"a changed file",
			with(func(_ *update.Manifest, f map[string]string) { f["vmlinuz"] = "Kernel" }), "make it anew"},
		{"a longer file",
			with(func(_ *update.Manifest, f map[string]string) { f["vmlinuz"] = "kernel and more" }), "has 15 bytes"},
		{"a shorter file",
			with(func(_ *update.Manifest, f map[string]string) { f["vmlinuz"] = "k" }), "has 1 bytes"},
		{"a missing file",
			with(func(_ *update.Manifest, f map[string]string) { delete(f, "vmlinuz") }), "boot/vmlinuz"},
		{"a file that is not listed", with(func(_ *update.Manifest, f map[string]string) { f["more"] = "" }), `"more"`},
		{"a root of more than there is",
			with(func(m *update.Manifest, _ map[string]string) { m.Parts[3].Size = 2 << 20 }), "make it anew"},
		{"an index that is not higher", []string{"--image", good, "--since", lastFile}, "is not higher than"},
		{"since what is neither", []string{"--image", good, "--since", keys.Public}, "neither a bundle"},
		{"a version that is a path", []string{"--image", good, "--version", "../v"}, "version"},
		{"an index of nothing", []string{"--image", good, "--index", "0"}, "index 0"},
		{"a trial without end", []string{"--image", good, "--trial-s", "10000"}, "trial_s"},
		{"a next key that is secret", []string{"--image", good, "--next-key", keys.Secret}, "ends in .pub"},
		{"a public key that is to sign", []string{"--image", good, "--key", keys.Public}, "secret key"},
	} {
		args := append([]string{"bundle", "--board", "rpi", "--key", keys.Secret, "-o", out}, c.args...)
		code, _, stderr := camctl(t, args...)
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		if code != exitFailed || !strings.Contains(lines[len(lines)-1], c.want) {
			t.Errorf("%s: exit code %d, %q, want %q", c.name, code, stderr, c.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Fatalf("%s: a bundle was made", c.name)
		}
	}
	if code, _, stderr := camctl(t, "bundle", "--board", "pi9", "--key", keys.Secret); code != exitUsage {
		t.Errorf("an unknown board: exit code %d, %q", code, stderr)
	}
}

// The image that ships, and that its own camctl made.
func TestBundleOfTheBuiltImages(t *testing.T) {
	keys := newKeys(t)
	for _, name := range []string{"rpi", "bbb"} {
		image := filepath.Join("..", "..", "..", "out", name+".img")
		need.File(t, image, "build it with scripts/image "+name)
		began := time.Now()
		r, b := newBundle(t, "--key", keys.Secret, "--image", image, "--board", name)
		took := time.Since(began)
		if err := update.WriteBundle(io.Discard, b.Raw, b.Signature, b.Manifest.Parts, b.Open); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("FIGURE update: bundle of %s: %d bytes in %d parts, root %d bytes, manifest %d bytes, made in %.1f s",
			name, r.Size, len(b.Manifest.Parts), b.Manifest.Root().Size, len(b.Raw), took.Seconds())
	}
}
