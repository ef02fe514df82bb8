package gokrazy

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

func readBackSeed(t *testing.T, image string) []byte {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	boot, _, err := openBoot(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	b, err := fs.ReadFile(boot, seedName)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSeedIsWrittenInPlaceAndOverTheLastOne(t *testing.T) {
	image := fakeImage(t).Image
	if b := readBackSeed(t, image); len(b) != SeedSize || len(bytes.Trim(b, blanks)) != 0 || b[SeedSize-1] != '\n' {
		t.Fatalf("placeholder of %d bytes", len(b))
	}
	for _, seed := range []string{`{"gateway": {"url": "https://a.example"}}`, `{}`} {
		if err := WriteSeed(image, []byte(seed)); err != nil {
			t.Fatal(err)
		}
		b := readBackSeed(t, image)
		if got := strings.TrimRight(string(b), blanks); got != seed || len(b) != SeedSize {
			t.Errorf("seed %q of %d bytes, want %q", got, len(b), seed)
		}
	}
}

func TestSeedThatIsTooLongChangesNothing(t *testing.T) {
	image := fakeImage(t).Image
	before := readBackSeed(t, image)
	if err := WriteSeed(image, make([]byte, SeedSize)); !errors.Is(err, ErrSeedTooLong) {
		t.Errorf("error %v, want ErrSeedTooLong", err)
	}
	if !bytes.Equal(before, readBackSeed(t, image)) {
		t.Error("the seed changed")
	}
}

func TestDefaultsOfAnImageLieInItsRootAndNotInTheSeed(t *testing.T) {
	p := fakeParts(t)
	p.Defaults = []byte(`{"stream": {"fps": 25}}`)
	image := buildImage(t, p).Image
	if got := strings.TrimRight(string(readBackSeed(t, image)), blanks); got != "" {
		t.Errorf("seed %q, want none: a card's own would throw the defaults away", got)
	}
	m, err := gather(piBoard(t), p)
	if err != nil {
		t.Fatal(err)
	}
	b, err := rootImage(piBoard(t), m, "", rootSize)
	if err != nil {
		t.Fatal(err)
	}
	root, err := disk.OpenSquashFS(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile(root, config.ImageDefaults[1:]); err != nil || string(got) != string(p.Defaults) {
		t.Errorf("defaults in the root: %q, %v", got, err)
	}
}

func TestSeedNeedsAnImage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "not.img")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteSeed(file, []byte("{}")); err == nil {
		t.Error("no error")
	}
}
