package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// exampleFiles has every kind of name and size that a boot partition has.
func exampleFiles() []Entry {
	big := make([]byte, 300_001)
	for i := range big {
		big[i] = byte(i * 7 >> 3)
	}
	return []Entry{
		{Path: "cmdline.txt", Bytes: []byte("root=x\n" + strings.Repeat(" ", 100))},
		{Path: "vmlinuz", Bytes: big},
		{Path: "EMPTY"},
		{Path: "bcm2710-rpi-zero-2-w.dtb", Bytes: []byte("zero")},
		{Path: "bcm2710-rpi-3-b-plus.dtb", Bytes: []byte("three")},
		{Path: "exactly13byte", Bytes: []byte("13")},
		{Path: "Mixed.Txt", Bytes: []byte("mixed")},
		{Path: "overlays/overlay_map.dtb", Bytes: big[:5000]},
		{Path: "overlays/deep/er/Grüße.txt", Bytes: []byte("hello")},
	}
}

func writeExampleFAT(t testing.TB, size int64) *os.File {
	t.Helper()
	f := newDisk(t, size)
	if err := WriteFAT(f, FATOptions{Size: size, VolumeID: 0x5b1ce001, Label: "KRAZYCAM"}, exampleFiles()); err != nil {
		t.Fatal(err)
	}
	return f
}

// checkTree compares a file system with what was put into it.
func checkTree(t *testing.T, tree fs.FS, want []Entry) {
	t.Helper()
	var names []string
	for _, e := range want {
		if e.Mode.Type() != 0 {
			continue
		}
		names = append(names, e.Path)
		if got, err := fs.ReadFile(tree, e.Path); err != nil || !bytes.Equal(got, e.Bytes) {
			t.Errorf("%s: %d bytes, %v; want %d bytes", e.Path, len(got), err, len(e.Bytes))
		}
	}
	if err := fstest.TestFS(tree, names...); err != nil {
		t.Error(err)
	}
}

func TestFATReadsBackAsWritten(t *testing.T) {
	for _, size := range []int64{4 * mib, 100 * mib, 220 * mib} {
		t.Run(fmt.Sprintf("%d MiB", size/mib), func(t *testing.T) {
			fat, err := OpenFAT(writeExampleFAT(t, size), size)
			if err != nil {
				t.Fatal(err)
			}
			checkTree(t, fat, exampleFiles())
			if fat.Label != "KRAZYCAM" || fat.VolumeID != 0x5b1ce001 {
				t.Errorf("label %q, volume %x", fat.Label, fat.VolumeID)
			}
		})
	}
}

func TestIndependentToolsReadTheFAT(t *testing.T) {
	for _, size := range []int64{4 * mib, 220 * mib} {
		img := writeExampleFAT(t, size).Name()
		runTool(t, "fsck.fat", "-n", "-v", img)
		list := runTool(t, "mdir", "-/", "-b", "-i", img, "::")
		for _, e := range exampleFiles() {
			if strings.Contains(e.Path, "ü") {
				continue // mtools prints it in the codepage of the machine
			}
			if !strings.Contains(list, "::/"+e.Path+"\n") {
				t.Errorf("mdir does not list %s: %s", e.Path, list)
			}
		}
		out := filepath.Join(t.TempDir(), "map")
		runTool(t, "mcopy", "-i", img, "::overlays/overlay_map.dtb", out)
		got, err := os.ReadFile(out)
		if err != nil || !bytes.Equal(got, exampleFiles()[7].Bytes) {
			t.Errorf("mcopy gave %d bytes, %v", len(got), err)
		}
		if text := runTool(t, "mtype", "-i", img, "::cmdline.txt"); text != string(exampleFiles()[0].Bytes) {
			t.Errorf("mtype gave %q", text)
		}
	}
}

func TestFATHasOneTableAndPiecesThatGokrazyFinds(t *testing.T) {
	f := writeExampleFAT(t, 220*mib)
	head := make([]byte, SectorSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		t.Fatal(err)
	}
	if head[16] != 1 || head[13] != 8 {
		t.Errorf("%d tables, %d sectors a cluster; want 1 and 8", head[16], head[13])
	}
	fat, err := OpenFAT(f, 220*mib)
	if err != nil {
		t.Fatal(err)
	}
	at, size, err := fat.Extent("cmdline.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, size)
	if _, err := f.ReadAt(got, at); err != nil || !bytes.Equal(got, exampleFiles()[0].Bytes) {
		t.Errorf("at %d: %q, %v", at, got, err)
	}
	if _, _, err := fat.Extent("overlays"); err == nil {
		t.Error("a folder has an extent")
	}
	if _, _, err := fat.Extent("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Extent of nothing: %v", err)
	}
}

func TestFATReadsAShortNameOfACodepage(t *testing.T) {
	e := fatShortEntry(fatName{short: [11]byte([]byte("\x9aBER    TXT"))}, fatAttrArchive, 0, 0)
	f := writeExampleFAT(t, 4*mib)
	g, err := fatLayout(4 * mib)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(e, (fatReserved+g.fatSectors)*SectorSize+fatDirent*100); err != nil {
		t.Fatal(err)
	}
	root := make([]byte, fatRootEntries*fatDirent)
	if _, err := f.ReadAt(root, (fatReserved+g.fatSectors)*SectorSize); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 100*fatDirent; i += fatDirent { // as if others had been deleted
		if root[i] == 0 {
			if _, err := f.WriteAt([]byte{0xe5}, (fatReserved+g.fatSectors)*SectorSize+int64(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	fat, err := OpenFAT(f, 4*mib)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"\ufffdBER.TXT", "cmdline.txt"} {
		if _, err := fs.Stat(fat, name); err != nil {
			t.Error(err)
		}
	}
}

func TestFATIsAFunctionOfItsFiles(t *testing.T) {
	size := int64(8 * mib)
	a, err := os.ReadFile(writeExampleFAT(t, size).Name())
	if err != nil {
		t.Fatal(err)
	}
	files := exampleFiles()
	for i, j := 0, len(files)-1; i < j; i, j = i+1, j-1 {
		files[i], files[j] = files[j], files[i]
	}
	f := newDisk(t, size)
	if err := WriteFAT(f, FATOptions{Size: size, VolumeID: 0x5b1ce001, Label: "KRAZYCAM"}, files); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(a, b) {
		t.Errorf("other bytes for the same files in another order, %v", err)
	}
}

func TestWriteFATRefuses(t *testing.T) {
	many := make([]Entry, 600)
	for i := range many {
		many[i].Path = fmt.Sprintf("F%d", i)
	}
	for _, c := range []struct {
		name    string
		size    int64
		entries []Entry
		want    string
	}{
		{"files that do not fit", 4 * mib, []Entry{{Path: "big", Bytes: make([]byte, 5*mib)}}, "do not fit"},
		{"a size below FAT16", 1 * mib, nil, "cannot be FAT16"},
		{"a size above FAT16", 4 << 30, nil, "cannot be FAT16"},
		{"a symbolic link", 4 * mib, []Entry{{Path: "l", Mode: fs.ModeSymlink}}, "only files and folders"},
		{"a name with a colon", 4 * mib, []Entry{{Path: "a:b"}}, "cannot be on FAT"},
		{"a path that leads out", 4 * mib, []Entry{{Path: "../x"}}, "not a clean relative path"},
		{"one path twice", 4 * mib, []Entry{{Path: "x"}, {Path: "x"}}, "given twice"},
		{"a file below a file", 4 * mib, []Entry{{Path: "x"}, {Path: "x/y"}}, "is not a folder"},
		{"more files than the root holds", 4 * mib, many, "can hold 512"},
	} {
		err := WriteFAT(newDisk(t, c.size), FATOptions{Size: c.size}, c.entries)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
}

// A power cut may leave half a folder; what lies beside it must still be readable.
func TestOpenFATFoldersPassesOverDamageElsewhere(t *testing.T) {
	f := writeExampleFAT(t, 4*mib)
	whole, err := OpenFAT(f, 4*mib)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"overlays/overlay_map.dtb", "vmlinuz"} {
		n, err := whole.findNode("test", name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{0, 0}, fatReserved*SectorSize+2*n.chain[1]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenFAT(f, 4*mib); !errors.Is(err, ErrDamaged) {
		t.Fatalf("OpenFAT = %v, want ErrDamaged", err)
	}
	if _, err := OpenFATFolders(f, 4*mib, "OVERLAYS"); !errors.Is(err, ErrDamaged) {
		t.Errorf("OpenFATFolders of the damaged folder = %v, want ErrDamaged", err)
	}
	fat, err := OpenFATFolders(f, 4*mib)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := fs.ReadFile(fat, "cmdline.txt"); err != nil || !bytes.Equal(b, exampleFiles()[0].Bytes) {
		t.Errorf("cmdline.txt: %d bytes, %v", len(b), err)
	}
	if _, err := fs.ReadFile(fat, "vmlinuz"); !errors.Is(err, ErrDamaged) {
		t.Errorf("the damaged file: %v, want ErrDamaged", err)
	}
	if _, _, err := fat.Extent("vmlinuz"); !errors.Is(err, ErrDamaged) {
		t.Errorf("Extent of the damaged file: %v, want ErrDamaged", err)
	}
	if list, err := fs.ReadDir(fat, "overlays"); err != nil || len(list) > 0 {
		t.Errorf("the folder that was not named has %d entries, %v", len(list), err)
	}
}
