package gokrazy

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

func TestDefaultsOfAnImageAreItsFirstSeed(t *testing.T) {
	p := fakeParts(t)
	p.Defaults = []byte(`{"stream": {"fps": 25}}`)
	if got := strings.TrimRight(string(readBackSeed(t, buildImage(t, p).Image)), blanks); got != string(p.Defaults) {
		t.Errorf("seed %q", got)
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
