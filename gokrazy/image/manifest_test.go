package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// slotManifest reads the factory's manifest, and the slot's files that it speaks of.
func slotManifest(t *testing.T, image string) (update.Manifest, fs.FS) {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	boot, _, err := card.OpenBoot(f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(boot, card.SlotA)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := fs.ReadFile(files, card.ManifestName)
	if err != nil {
		t.Fatal(err)
	}
	m, err := update.ParseManifest(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m, files
}

func TestFactoryManifestListsAllOfSlotA(t *testing.T) {
	r := readOnlyImage(t)
	m, files := slotManifest(t, r.Image)
	if m.Board != "rpi" || m.Version != unknownVersion || m.Index != unknownIndex || m.TrialS != 60 ||
		m.MinimumLayout != 1 || len(m.Keys) != 0 {
		t.Errorf("manifest %+v", m)
	}
	sums := map[string]string{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == card.ManifestName {
			return err
		}
		b, err := fs.ReadFile(files, name)
		sum := sha256.Sum256(b)
		sums[update.BootPrefix+name] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Parts[:len(m.Parts)-1] {
		if sums[p.Name] != p.SHA256 {
			t.Errorf("%s has sha256 %q, the manifest says %s", p.Name, sums[p.Name], p.SHA256)
		}
		delete(sums, p.Name)
	}
	if len(sums) > 0 {
		t.Errorf("the manifest does not list %v", sums)
	}
	root, err := os.ReadFile(extract(t, r.Image, card.RootA))
	if err != nil {
		t.Fatal(err)
	}
	last := m.Parts[len(m.Parts)-1]
	sum := sha256.Sum256(root[:last.Size])
	if last.Name != update.RootName || last.Size != r.Root || last.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("last part %+v, the root has %d bytes", last, r.Root)
	}
	if _, err := fs.Stat(files, card.SignatureName); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the factory's manifest is signed: %v", err)
	}
	if i := slices.IndexFunc(m.Parts, func(p update.Part) bool { return p.Path() == card.CmdlineName }); i < 0 {
		t.Error("no command line")
	}
}

func TestKeysVersionAndIndexGoIntoTheManifest(t *testing.T) {
	const key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
	p := fakeParts(t)
	p.UpdateKeys, p.Version, p.Index = []string{key}, "v1.2", 1_800_000_000
	m, _ := slotManifest(t, buildImage(t, p).Image)
	if !slices.Equal(m.Keys, []string{key}) || m.Version != "v1.2" || m.Index != 1_800_000_000 {
		t.Errorf("manifest %+v", m)
	}
	p.Version = "../v1"
	_, err := Build(context.Background(), piBoard(t), p, filepath.Join(t.TempDir(), "cam.img"), noLog)
	if !errors.Is(err, update.ErrManifest) {
		t.Errorf("a version that is a path: %v, want %v", err, update.ErrManifest)
	}
}

func TestVersionIsThatOfTheCommit(t *testing.T) {
	revision := strings.Repeat("0123456789", 4)
	at := time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		program Program
		version string
		index   int64
	}{
		{Program{Path: versionProgram, Version: revision, committed: at}, "012345678901", at.Unix()},
		{Program{Path: versionProgram, Version: revision, committed: at, modified: true},
			"012345678901-dirty", at.Unix()},
		{Program{Path: versionProgram, Version: "(devel)"}, unknownVersion, unknownIndex},
		{Program{Path: "user/camsource", Version: revision, committed: at}, unknownVersion, unknownIndex},
	} {
		version, index := (material{about: []Program{c.program}}).version()
		if version != c.version || index != c.index {
			t.Errorf("version of %+v = %s, %d, want %s, %d", c.program, version, index, c.version, c.index)
		}
	}
}
