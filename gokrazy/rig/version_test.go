// New versions for the tests of updates: what slot a of a built image holds, changed here and there,
// as a signed bundle.

package rig

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// trialSeconds is how long a new version must hold its rung here; an owner's takes a minute.
const trialSeconds = 5

// A content is what a slot holds.
type content struct {
	board string
	boot  map[string][]byte // files of the slot's folder
	root  []disk.Entry
	// damage changes the packed root, which is signed all the same; nil: none.
	damage func(root []byte)
}

// contentOf reads slot a of an image.
func contentOf(t *testing.T, image string) content {
	t.Helper()
	f := openImage(t, image)
	c := content{board: strings.TrimSuffix(filepath.Base(image), ".img"), boot: map[string][]byte{}}
	folder, err := fs.Sub(f.boot(t), card.SlotA)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range filesBelow(t, folder) {
		if name == card.ManifestName || name == card.SignatureName {
			continue
		}
		if c.boot[name], err = fs.ReadFile(folder, name); err != nil {
			t.Fatal(err)
		}
	}
	c.root = entriesOf(t, f.root(t))
	return c
}

func filesBelow(t *testing.T, tree fs.FS) (names []string) {
	t.Helper()
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// entriesOf lists a squashfs as the one who packs it again wants it.
func entriesOf(t *testing.T, root *disk.SquashFSTree) (all []disk.Entry) {
	t.Helper()
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := disk.Entry{Path: name, Mode: info.Mode()}
		switch {
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

// withFile gives a content with another file in the root.
func (c content) withFile(name string, mode fs.FileMode, b []byte) content {
	e := disk.Entry{Path: name, Mode: mode, Bytes: b}
	c.root = slices.Clone(c.root)
	if at := slices.IndexFunc(c.root, func(e disk.Entry) bool { return e.Path == name }); at >= 0 {
		c.root[at] = e
	} else {
		c.root = append(c.root, e)
	}
	return c
}

// withMark changes the root in a file that nothing reads.
func (c content) withMark(mark string) content {
	return c.withFile("etc/gokrazy/mark", 0o444, []byte(mark+"\n"))
}

// withBoot gives a content with another file in the slot's folder.
func (c content) withBoot(name string, b []byte) content {
	c.boot = maps.Clone(c.boot)
	c.boot[name] = b
	return c
}

// withRootFile changes the one file of the root that ends so.
func (c content) withRootFile(t *testing.T, end string, change func(b []byte)) content {
	t.Helper()
	at := slices.IndexFunc(c.root, func(e disk.Entry) bool { return strings.HasSuffix(e.Path, end) })
	if at < 0 {
		t.Fatalf("the root has no %s", end)
	}
	b := bytes.Clone(c.root[at].Bytes)
	change(b)
	return c.withFile(c.root[at].Path, c.root[at].Mode, b)
}

// withFault puts a bad program in the place of one in the root.
func (c content) withFault(t *testing.T, name, how string) content {
	t.Helper()
	return c.withFile(name, 0o755, faultProgram(t, c.board, how))
}

// faultProgram builds testdata/fault for a board.
func faultProgram(t *testing.T, board, how string) []byte {
	t.Helper()
	env := []string{"GOOS=linux", "CGO_ENABLED=0", "GOARCH=arm64"}
	if board == "bbb" {
		env = []string{"GOOS=linux", "CGO_ENABLED=0", "GOARCH=arm", "GOARM=7"}
	}
	file := filepath.Join(t.TempDir(), "fault")
	run(t, env, "go", "build", "-trimpath", "-ldflags", "-s -w -X main.how="+how, "-o", file, "./testdata/fault")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A signer makes bundles. Each is newer than the one before.
type signer struct {
	private minisign.PrivateKey
	public  string
	index   int64
	trialS  int      // of the manifests
	keys    []string // that the manifests list
}

// newIndex is above that of any image, the Unix time of its commit.
const newIndex = 4_000_000_000

func newSigner(t *testing.T) *signer {
	t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key := public.String()
	return &signer{private: private, public: key, index: newIndex, trialS: trialSeconds, keys: []string{key}}
}

// manifest lists a content, with the bytes of each part by its hash.
func (s *signer) manifest(t *testing.T, c content, version string) (update.Manifest, map[string][]byte) {
	t.Helper()
	s.index++
	m := update.Manifest{
		Format: update.Format, Board: c.board, Version: version, Index: s.index, TrialS: s.trialS,
		MinimumLayout: 1, Keys: s.keys,
	}
	bytesOf := map[string][]byte{}
	add := func(name string, b []byte) {
		sum := fmt.Sprintf("%x", sha256.Sum256(b))
		m.Parts = append(m.Parts, update.Part{Name: name, Size: int64(len(b)), SHA256: sum})
		bytesOf[sum] = b
	}
	// What was not changed packs to the same bytes, which a board has already.
	root, err := disk.SquashFS(c.root)
	if err != nil {
		t.Fatal(err)
	}
	if c.damage != nil {
		c.damage(root)
	}
	add(update.RootName, root)
	for _, name := range slices.Sorted(maps.Keys(c.boot)) {
		add(path.Join(update.BootPrefix, name), c.boot[name])
	}
	return m, bytesOf
}

// sign gives the file of a manifest and its signature.
func (s *signer) sign(t *testing.T, m update.Manifest) (raw, signature []byte) {
	t.Helper()
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw, s.signRaw(t, raw)
}

func (s *signer) signRaw(t *testing.T, raw []byte) (signature []byte) {
	t.Helper()
	signing := minisign.NewReader(bytes.NewReader(raw))
	if _, err := io.Copy(io.Discard, signing); err != nil {
		t.Fatal(err)
	}
	return signing.Sign(s.private)
}

// vary gives a bundle of the same parts with another manifest, signed by s.
func (s *signer) vary(t *testing.T, b *update.Bundle, change func(*update.Manifest)) *update.Bundle {
	t.Helper()
	varied := *b
	varied.Manifest.Parts = slices.Clone(b.Manifest.Parts)
	change(&varied.Manifest)
	varied.Raw, varied.Signature = s.sign(t, varied.Manifest)
	return &varied
}

// without leaves a part out of a manifest.
func without(name string) func(*update.Manifest) {
	return func(m *update.Manifest) {
		m.Parts = slices.DeleteFunc(m.Parts, func(p update.Part) bool { return p.Name == name })
	}
}

// bundle makes a signed bundle and opens it.
func (s *signer) bundle(t *testing.T, c content, version string) *update.Bundle {
	t.Helper()
	b, _ := s.bundleFile(t, c, version)
	return b
}

// bundleFile gives the file, too, which is open until the test ends.
func (s *signer) bundleFile(t *testing.T, c content, version string) (*update.Bundle, *os.File) {
	t.Helper()
	m, bytesOf := s.manifest(t, c, version)
	raw, signature := s.sign(t, m)
	f, err := os.Create(filepath.Join(t.TempDir(), m.BundleName()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	err = update.WriteBundle(f, raw, signature, m.Parts, func(p update.Part) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(bytesOf[p.SHA256])), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b, err := update.OpenBundle(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return b, f
}
