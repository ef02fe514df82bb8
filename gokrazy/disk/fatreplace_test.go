package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ownersFAT is a file system as an owner's computer leaves it, made by mkfs.fat and mtools.
func ownersFAT(t *testing.T, tables string, files ...string) *os.File {
	t.Helper()
	f := newDisk(t, 4*mib)
	runTool(t, "mkfs.fat", "-F", "16", "-s", "1", "-f", tables, f.Name())
	for _, name := range files {
		from := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(from, []byte(strings.Repeat(name, 60)), 0o600); err != nil {
			t.Fatal(err)
		}
		runTool(t, "mcopy", "-i", f.Name(), from, "::"+name)
	}
	return f
}

// replaceIn replaces a file and checks with fsck.fat and mtools what came of it.
func replaceIn(t *testing.T, f *os.File, name string, content []byte) {
	t.Helper()
	fat, err := OpenFAT(f, 4*mib)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(fat.CanReplace(name, int64(len(content))), fat.Replace(f, name, content)); err != nil {
		t.Fatal(err)
	}
	runTool(t, "fsck.fat", "-n", f.Name())
	if got := runTool(t, "mtype", "-i", f.Name(), "::"+name); got != string(content) {
		t.Errorf("mtype gives %d bytes, want %d", len(got), len(content))
	}
	fat, err = OpenFAT(f, 4*mib)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile(fat, name); err != nil || !bytes.Equal(got, content) {
		t.Errorf("reads back %d bytes, %v, want %d", len(got), err, len(content))
	}
}

func TestReplaceChangesOneFileOfAnOwnersCard(t *testing.T) {
	long := bytes.Repeat([]byte("long "), 3300)
	for _, tables := range []string{"1", "2"} {
		for _, c := range []struct {
			name  string
			files []string
			bytes []byte
		}{
			{"a short file", []string{"a.txt", "krazycam.json", "b.txt"}, long},
			{"in capital letters", []string{"KRAZYCAM.JSON", "b.txt"}, long},
			{"a file that is gone", []string{"a.txt", "b.txt"}, long},
			{"on an empty card", nil, []byte("{}")},
			{"by something shorter", []string{"a.txt", "krazycam.json"}, []byte("{}")},
		} {
			t.Run(c.name+", tables "+tables, func(t *testing.T) {
				f := ownersFAT(t, tables, c.files...)
				replaceIn(t, f, "krazycam.json", c.bytes)
				for _, name := range c.files {
					if strings.EqualFold(name, "krazycam.json") {
						continue
					}
					if got := runTool(t, "mtype", "-i", f.Name(), "::"+name); got != strings.Repeat(name, 60) {
						t.Errorf("%s is changed: %d bytes", name, len(got))
					}
				}
			})
		}
	}
}

// Pieces: every second file is removed, and the file grows through the holes.
func TestReplaceGrowsThroughHoles(t *testing.T) {
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("f%d.txt", i))
	}
	f := ownersFAT(t, "2", append([]string{"krazycam.json"}, names...)...)
	for i := 0; i < len(names); i += 2 {
		runTool(t, "mdel", "-i", f.Name(), "::"+names[i])
	}
	for _, size := range []int{16 << 10, 100, 40_000, 16 << 10} {
		replaceIn(t, f, "krazycam.json", bytes.Repeat([]byte{'x'}, size))
	}
}

func TestReplaceSaysWhenThereIsNoRoom(t *testing.T) {
	f := ownersFAT(t, "1", "a.txt")
	fat, err := OpenFAT(f, 4*mib)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := fat.Replace(f, "krazycam.json", make([]byte, 4*mib)); !errors.Is(err, ErrFull) {
		t.Errorf("Replace = %v, want ErrFull", err)
	}
	if after, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the card is changed all the same (%v)", err)
	}
}

// Whatever a card looks like: Replace gives an error, or a file system that reads back.
func FuzzReplace(f *testing.F) {
	f.Add(uint64(1), uint16(3))
	f.Fuzz(func(t *testing.T, seed uint64, changes uint16) {
		const size = 4 * mib
		img := writeExampleFAT(t, size)
		r := rand.New(rand.NewPCG(seed, 1))
		for range changes % 64 {
			if _, err := img.WriteAt([]byte{byte(r.Uint32())}, r.Int64N(64<<10)); err != nil {
				t.Fatal(err)
			}
		}
		fat, err := OpenFAT(img, size)
		if err != nil {
			return
		}
		content := bytes.Repeat([]byte{'x'}, 1+int(r.Uint32()%30_000))
		if fat.Replace(img, "krazycam.json", content) != nil {
			return
		}
		fat, err = OpenFAT(img, size)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := fs.ReadFile(fat, "krazycam.json"); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes, %v, want %d", len(got), err, len(content))
		}
	})
}
