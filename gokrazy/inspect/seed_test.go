package inspect

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
)

func TestInspectSaysWhatTheBoardWillSayOfTheSeed(t *testing.T) {
	built := ownImage(t)
	for _, c := range []struct{ name, seed, want string }{
		{"one that works", `{"gateway": {"url": "https://g.example", "key": "sesame"}}`, ""},
		{"Notepad's", "\xff\xfe{\x00}\x00", "krazycam.json:1: this is UTF-16 text: save it as UTF-8"},
		{"without a key", `{"gateway": {"url": "https://g.example"}}`, "gateway.key: is missing"},
		{"a comma too many", "{\"log\":\n{},\n}", "krazycam.json:3: not JSON: the comma before }"},
	} {
		if err := card.WriteSeed(built.Image, []byte(c.seed)); err != nil {
			t.Fatal(err)
		}
		r, err := examineFile(t, built.Image)
		if err != nil || r.Seed != SeedPresent {
			t.Fatalf("%s: seed %q, %v", c.name, r.Seed, err)
		}
		all := strings.Join(r.Problems, "\n")
		if c.want == "" && all != "" || !strings.Contains(all, c.want) || strings.Contains(all, "sesame") {
			t.Errorf("%s: problems %q, want %q", c.name, all, c.want)
		}
	}
}

// Linux's vfat finds names in capital and small letters alike; so must what speaks for the board.
func TestInspectFindsTheSeedInCapitalLetters(t *testing.T) {
	built := ownImage(t)
	if err := card.WriteSeed(built.Image, []byte(`{"log": {}}`)); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(built.Image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	folders := make([]byte, mib)
	if _, err := f.ReadAt(folders, card.BootStart); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(folders, []byte("KRAZYC~1JSO")) - 32 // the long name
	for i := 1; i < 32; i++ {
		if b := folders[at+i]; b >= 'a' && b <= 'z' && i != 13 { // 13 is a checksum
			folders[at+i] -= 'a' - 'A'
		}
	}
	if _, err := f.WriteAt(folders, card.BootStart); err != nil {
		t.Fatal(err)
	}
	if r, err := examineFile(t, built.Image); err != nil || r.Seed != SeedPresent {
		t.Errorf("seed %q, %v, want %q", r.Seed, err, SeedPresent)
	}
}

func TestInspectNamesAFileThatLooksLikeTheSeed(t *testing.T) {
	built := ownImage(t)
	f, err := os.OpenFile(built.Image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	boot, start, err := card.OpenBoot(f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	if err := boot.Replace(io.NewOffsetWriter(f, start), "krazycam.json.txt", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	r, err := examineFile(t, built.Image)
	if all := strings.Join(r.Problems, "\n"); err != nil || r.Seed != SeedBlank ||
		!strings.Contains(all, "krazycam.json.txt is no seed for the board: rename it to krazycam.json") {
		t.Errorf("seed %q, problems %q, %v", r.Seed, all, err)
	}
}
