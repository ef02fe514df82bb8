package card

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

// newImage is a file with a table and a boot partition with a place for a seed.
func newImage(t *testing.T) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := disk.Table{Disk: disk.GUID{1}, Size: 16 * mib, Partitions: []disk.Partition{
		{Type: disk.TypeEFI, ID: disk.GUID{2}, Start: mib, Size: 8 * mib},
	}}
	boot := []disk.Entry{
		{Path: CmdlineName, Bytes: []byte("before it")},
		{Path: SeedName, Bytes: PaddedSeed(nil, SeedSize)},
		{Path: SourcesName, Bytes: []byte("behind it")},
	}
	err = errors.Join(f.Truncate(table.Size), disk.WriteTable(f, table),
		disk.WriteFAT(io.NewOffsetWriter(f, mib), disk.FATOptions{Size: 8 * mib}, boot))
	if err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// readBoot reads a file of the boot partition.
func readBoot(t *testing.T, image, name string) []byte {
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
	boot, _, err := OpenBoot(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	b, err := fs.ReadFile(boot, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSeedIsWrittenInPlaceAndOverTheLastOne(t *testing.T) {
	image := newImage(t)
	if b := readBoot(t, image, SeedName); len(b) != SeedSize || len(bytes.Trim(b, blanks)) != 0 ||
		b[SeedSize-1] != '\n' {
		t.Fatalf("placeholder of %d bytes", len(b))
	}
	for _, seed := range []string{`{"gateway": {"url": "https://a.example"}}`, `{}`} {
		if err := WriteSeed(image, []byte(seed)); err != nil {
			t.Fatal(err)
		}
		b := readBoot(t, image, SeedName)
		if got := strings.TrimRight(string(b), blanks); got != seed || len(b) != SeedSize {
			t.Errorf("seed %q of %d bytes, want %q", got, len(b), seed)
		}
	}
	for name, want := range map[string]string{CmdlineName: "before it", SourcesName: "behind it"} {
		if got := string(readBoot(t, image, name)); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestSeedThatIsTooLongChangesNothing(t *testing.T) {
	image := newImage(t)
	before := readBoot(t, image, SeedName)
	if err := WriteSeed(image, make([]byte, SeedSize)); !errors.Is(err, ErrSeedTooLong) {
		t.Errorf("error %v, want ErrSeedTooLong", err)
	}
	if !bytes.Equal(before, readBoot(t, image, SeedName)) {
		t.Error("the seed changed")
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

// An owner's computer leaves a file as long as its text, in capital letters, or none at all.
func TestSeedReplacesWhatAnOwnerLeft(t *testing.T) {
	const short = `{"log": {}}`
	long := []byte(`{"gateway": {"url": "https://gateway.example/api", "key": "k"}}` + strings.Repeat(" ", 9000) + "\n")
	for name, boot := range map[string][]disk.Entry{
		"a short seed":       {{Path: SeedName, Bytes: []byte(short)}, {Path: "z.txt", Bytes: []byte("behind it")}},
		"in capital letters": {{Path: "KRAZYCAM.JSON", Bytes: []byte(short)}},
		"an empty file":      {{Path: SeedName}},
		"none":               {{Path: "z.txt", Bytes: []byte("behind it")}},
	} {
		path := filepath.Join(t.TempDir(), "image")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		table := disk.Table{Disk: disk.GUID{1}, Size: 16 * mib, Partitions: []disk.Partition{
			{Type: disk.TypeEFI, ID: disk.GUID{2}, Start: mib, Size: 8 * mib}}}
		if err := errors.Join(f.Truncate(table.Size), disk.WriteTable(f, table),
			disk.WriteFAT(io.NewOffsetWriter(f, mib), disk.FATOptions{Size: 8 * mib}, boot), f.Close()); err != nil {
			t.Fatal(err)
		}
		for range 2 { // over what was there, and over itself
			if err := WriteSeed(path, long); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got := readBoot(t, path, SeedName)
			if !bytes.HasPrefix(got, long) || len(bytes.Trim(got[len(long):], blanks)) != 0 {
				t.Errorf("%s: %d bytes, want the seed and blanks", name, len(got))
			}
		}
		if boot[len(boot)-1].Path == "z.txt" && string(readBoot(t, path, "z.txt")) != "behind it" {
			t.Errorf("%s: another file changed", name)
		}
	}
}
