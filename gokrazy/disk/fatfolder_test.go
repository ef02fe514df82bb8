package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// A recorder is a disk in memory that remembers each sector that was written and each flush.
type recorder struct {
	bytes []byte
	log   []recorded
}

// A recorded sector, or a flush if it has no bytes.
type recorded struct {
	at    int64
	bytes []byte
}

func (d *recorder) ReadAt(b []byte, at int64) (int, error) {
	return bytes.NewReader(d.bytes).ReadAt(b, at)
}

func (d *recorder) WriteAt(b []byte, at int64) (int, error) {
	if at%SectorSize != 0 || len(b)%SectorSize != 0 || at+int64(len(b)) > int64(len(d.bytes)) {
		return 0, fmt.Errorf("%d bytes at %d are not sectors of the disk", len(b), at)
	}
	for i := 0; i < len(b); i += SectorSize {
		d.log = append(d.log, recorded{at + int64(i), bytes.Clone(b[i : i+SectorSize])})
	}
	copy(d.bytes[at:], b)
	return len(b), nil
}

func (d *recorder) Sync() error {
	d.log = append(d.log, recorded{})
	return nil
}

// cutAt is the disk after a power cut in the middle of the log: what was flushed is there, of the
// rest some sectors.
func cutAt(before []byte, log []recorded, cut int, r *rand.Rand) []byte {
	flushed := 0
	for i, w := range log[:cut] {
		if w.bytes == nil {
			flushed = i
		}
	}
	out := bytes.Clone(before)
	for i, w := range log[:cut] {
		if w.bytes != nil && (i < flushed || r.IntN(2) == 0) {
			copy(out[w.at:], w.bytes)
		}
	}
	return out
}

const folderDisk = 4 * mib

// twoFolders has two folders like slots, and what lies beside them.
func twoFolders(t testing.TB) *recorder {
	t.Helper()
	f := newDisk(t, folderDisk)
	var entries []Entry
	for _, e := range append(slotFiles(1), slotFiles(2)...) {
		entries = append(entries, Entry{Path: e.Path, Bytes: e.Bytes})
	}
	entries = append(entries, Entry{Path: "config.txt", Bytes: bytes.Repeat([]byte{'c'}, SectorSize)},
		Entry{Path: "a long name of an owner.txt", Bytes: []byte("own")}, Entry{Path: "LICENCES/x", Bytes: []byte("x")})
	if err := WriteFAT(f, FATOptions{Size: folderDisk, Label: "KRAZYCAM"}, entries); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{bytes: b}
}

// slotFiles are those of a version: odd ones in folder a, even ones in folder b.
func slotFiles(version int) []Entry {
	folder := []string{"b/", "a/"}[version%2]
	kernel := make([]byte, 200_000+version*7919)
	if _, err := rand.NewChaCha8([32]byte{byte(version)}).Read(kernel); err != nil {
		panic(err) // it has none
	}
	return []Entry{
		{Path: folder + "vmlinuz", Bytes: kernel},
		{Path: folder + "cmdline.txt", Bytes: fmt.Appendf(nil, "version %d", version)},
		{Path: folder + "EMPTY"},
		{Path: folder + "bcm2711-rpi-4-b.dtb", Bytes: kernel[:50_000]},
		{Path: folder + "overlays/README", Bytes: kernel[:SectorSize]},
		{Path: folder + "overlays/disable-bt.dtbo", Bytes: kernel[100:5000]},
	}
}

func fatFiles(version int) (files []FATFile) {
	for _, e := range slotFiles(version) {
		files = append(files, FATFile{e.Path[2:], int64(len(e.Bytes)),
			func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(e.Bytes)), nil }})
	}
	return files
}

// replaceB puts a version into folder b.
func replaceB(d SyncDisk, version int) error {
	e, err := EditFolder(d, folderDisk, "b", "a")
	if err != nil {
		return err
	}
	return errors.Join(e.Fits(fatFiles(version)), e.Clear(), e.Write(fatFiles(version)))
}

// holds says whether the folder of a version has exactly its files.
func holds(b []byte, version int) error {
	want := slotFiles(version)
	fat, err := OpenFATFolders(bytes.NewReader(b), folderDisk, want[0].Path[:1])
	if err != nil {
		return err
	}
	count := 0
	err = fs.WalkDir(fat, want[0].Path[:1], func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			count++
		}
		return err
	})
	if err != nil || count != len(want) {
		return fmt.Errorf("%d files, want %d: %w", count, len(want), err)
	}
	for _, e := range want {
		if got, err := fs.ReadFile(fat, e.Path); err != nil || !bytes.Equal(got, e.Bytes) {
			return fmt.Errorf("%s: %d bytes, %w, want %d", e.Path, len(got), err, len(e.Bytes))
		}
	}
	return nil
}

// besides compares everything but folder b.
func besides(t *testing.T, b []byte) {
	t.Helper()
	if err := holds(b, 1); err != nil {
		t.Errorf("folder a is changed: %v", err)
	}
	fat, err := OpenFATFolders(bytes.NewReader(b), folderDisk, "LICENCES")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"config.txt": strings.Repeat("c", SectorSize), "a long name of an owner.txt": "own", "LICENCES/x": "x",
	} {
		if got, err := fs.ReadFile(fat, name); string(got) != want || err != nil {
			t.Errorf("%s is changed: %q, %v", name, got, err)
		}
	}
	if fat.Label != "KRAZYCAM" {
		t.Errorf("the label is %q", fat.Label)
	}
}

// checkFAT asks fsck.fat; it gives the complaints.
func checkFAT(t *testing.T, b []byte) string {
	t.Helper()
	need.Tools(t, "fsck.fat")
	file := filepath.Join(t.TempDir(), "fat")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("fsck.fat", "-n", file).CombinedOutput()
	if err == nil {
		return ""
	}
	return string(out)
}

func TestAFolderIsReplacedAsOthersReadIt(t *testing.T) {
	d := twoFolders(t)
	for version := 4; version <= 12; version += 2 {
		if err := replaceB(d, version); err != nil {
			t.Fatal(err)
		}
		if err := holds(d.bytes, version); err != nil {
			t.Fatal(err)
		}
		besides(t, d.bytes)
		if out := checkFAT(t, d.bytes); out != "" {
			t.Fatalf("fsck.fat: %s", out)
		}
	}
	file := filepath.Join(t.TempDir(), "fat")
	if err := os.WriteFile(file, d.bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, e := range slotFiles(12) {
		if len(e.Bytes) > 0 && runTool(t, "mtype", "-i", file, "::"+e.Path) != string(e.Bytes) {
			t.Errorf("mtools read %s otherwise", e.Path)
		}
	}
	fat, err := OpenFAT(bytes.NewReader(d.bytes), folderDisk)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := fat.Extent("b/vmlinuz"); err != nil {
		t.Errorf("the kernel is in pieces: %v", err)
	}
}

// Each cut leaves the old folder, none or the new one, and everything else. What it leaves takes the
// update the second time, and is then clean.
func TestACutLeavesTheOldFolderOrNoneOrTheNewOne(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	cuts, kinds := 50, map[string]int{}
	for i := range cuts {
		d := twoFolders(t)
		old := 2
		for again := range 3 { // three cuts in a row, each in the attempt after the one before
			before, version := bytes.Clone(d.bytes), 4+2*again
			d.log = nil
			if err := replaceB(d, version); err != nil {
				t.Fatalf("cut %d.%d: %v", i, again, err)
			}
			d.bytes = cutAt(before, d.log, cutPlace(d.log, r), r)
			besides(t, d.bytes)
			switch {
			case holds(d.bytes, old) == nil:
				kinds["old"]++
			case holds(d.bytes, version) == nil:
				kinds["new"]++
				old = version
			default:
				fat, err := OpenFATFolders(bytes.NewReader(d.bytes), folderDisk)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := fs.Stat(fat, "b"); !errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("cut %d.%d: half a folder (%v)", i, again, err)
				}
				kinds["none"]++
			}
			if i < 10 { // fsck.fat may find clusters that are lost, and nothing else
				if out := checkFAT(t, d.bytes); out != "" && !onlyLost(out) {
					t.Fatalf("cut %d.%d: fsck.fat: %s", i, again, out)
				}
			}
		}
		if err := errors.Join(replaceB(d, 20), holds(d.bytes, 20)); err != nil {
			t.Fatalf("cut %d: %v", i, err)
		}
		if i < 10 {
			if out := checkFAT(t, d.bytes); out != "" {
				t.Fatalf("cut %d: fsck.fat after another update: %s", i, out)
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("FIGURE %d cuts of a folder that is replaced, three in a row: %v", 3*cuts, kinds)
	if kinds["old"] == 0 || kinds["none"] == 0 || kinds["new"] == 0 {
		t.Errorf("the cuts left %v, want some of each", kinds)
	}
}

// cutPlace is within the data half of the time; the few other sectors would hardly be hit.
func cutPlace(log []recorded, r *rand.Rand) int {
	if r.IntN(2) == 0 {
		return r.IntN(len(log) + 1)
	}
	var flushes []int
	for i, w := range log {
		if w.bytes == nil {
			flushes = append(flushes, i)
		}
	}
	at := flushes[r.IntN(len(flushes))] + r.IntN(9) - 4
	return min(max(at, 0), len(log))
}

// onlyLost says whether fsck.fat found nothing but clusters that no file uses.
func onlyLost(out string) bool {
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "fsck.fat "), strings.Contains(line, "Reclaimed"),
			strings.Contains(line, "Leaving filesystem unchanged"), strings.Contains(line, "files, "):
		default:
			return false
		}
	}
	return true
}

// What other writers leave after a cut: the kernel, an owner's computer.
func TestClearMendsWhatOthersLeft(t *testing.T) {
	type fat = FAT
	chain := func(f *fat, name string) []int64 {
		n, err := f.findNode("test", name)
		if err != nil {
			t.Fatal(err)
		}
		return n.chain
	}
	set := func(d *recorder, cluster, next int64) {
		binary.LittleEndian.PutUint16(d.bytes[fatReserved*SectorSize+2*cluster:], uint16(next))
	}
	rootAt := func(f *fat) int64 { return f.reader.rootAt }
	last := func(f *fat) int64 { return f.reader.g.clusters + 1 }
	for name, damage := range map[string]func(*recorder, *fat){
		"lost clusters": func(d *recorder, f *fat) {
			set(d, last(f), fatEndOfChain)
			set(d, last(f)-9, last(f))
		},
		"the mark of a mount in the boot sector": func(d *recorder, _ *fat) { d.bytes[fatStateAt] |= fatDirtyBit },
		"the mark of a mount in the table":       func(d *recorder, _ *fat) { set(d, 1, 0x7fff) },
		"a chain that ends in a free cluster": func(d *recorder, f *fat) {
			set(d, chain(f, "b/vmlinuz")[3], 0)
		},
		"a chain that loops":         func(d *recorder, f *fat) { c := chain(f, "b/vmlinuz"); set(d, c[9], c[2]) },
		"a chain that leads outside": func(d *recorder, f *fat) { set(d, chain(f, "b/vmlinuz")[3], last(f)+7) },
		"two files with one chain": func(d *recorder, f *fat) {
			set(d, chain(f, "b/vmlinuz")[3], chain(f, "b/bcm2711-rpi-4-b.dtb")[0])
		},
		"a chain that leads into the good folder": func(d *recorder, f *fat) {
			set(d, chain(f, "b/vmlinuz")[3], chain(f, "a/vmlinuz")[5])
		},
		"a file that leads to its own folder": func(d *recorder, f *fat) {
			set(d, chain(f, "b/overlays/README")[0], chain(f, "b/vmlinuz")[0]-2)
		},
		"half of a long name": func(d *recorder, f *fat) {
			for at := int64(0); ; at += fatDirent {
				if e := d.bytes[rootAt(f)+at:]; e[0] == 0 {
					copy(e, fatLongEntries(fatName{long: "only its long entry", short: [11]byte{'X'}}))
					return
				}
			}
		},
		"a folder in capital letters with a long name": func(d *recorder, f *fat) {
			for at := int64(0); ; at += fatDirent {
				e := d.bytes[rootAt(f)+at:]
				if e[0] == 'B' && e[1] == ' ' {
					first := int64(binary.LittleEndian.Uint16(e[26:]))
					e[0] = 0xe5
					e = d.bytes[rootAt(f)+40*fatDirent:] // the two entries end in different sectors
					for ; at < 47*fatDirent; at += fatDirent {
						if d.bytes[rootAt(f)+at] == 0 {
							d.bytes[rootAt(f)+at] = 0xe5
						}
					}
					n := fatName{long: "b", short: [11]byte([]byte("B          "))}
					copy(e[7*fatDirent:], append(fatLongEntries(n), fatShortEntry(n, fatAttrFolder, first, 0)...))
					return
				}
			}
		},
		"a file in the place of the folder": func(d *recorder, f *fat) {
			for at := int64(0); ; at += fatDirent {
				if e := d.bytes[rootAt(f)+at:]; e[0] == 'B' && e[1] == ' ' {
					e[11] = fatAttrArchive
					return
				}
			}
		},
	} {
		d := twoFolders(t)
		f, err := OpenFAT(d, folderDisk)
		if err != nil {
			t.Fatal(err)
		}
		damage(d, f)
		if out := checkFAT(t, d.bytes); out == "" && !strings.Contains(name, " in ") {
			t.Errorf("%s: fsck.fat finds nothing before", name)
		}
		if err := errors.Join(replaceB(d, 4), holds(d.bytes, 4)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		besides(t, d.bytes)
		if out := checkFAT(t, d.bytes); out != "" {
			t.Errorf("%s: fsck.fat still finds: %s", name, out)
		}
	}
}

func TestNothingIsChangedWhereTheGoodFolderIsNotWhole(t *testing.T) {
	for name, damage := range map[string]func(*recorder, *FAT){
		"its kernel ends too early": func(d *recorder, f *FAT) {
			n, _ := f.findNode("test", "a/vmlinuz")
			binary.LittleEndian.PutUint16(d.bytes[fatReserved*SectorSize+2*n.chain[3]:], fatEndOfChain)
		},
		"an owner's file leads into it": func(d *recorder, f *FAT) {
			n, _ := f.findNode("test", "a/vmlinuz")
			own, _ := f.findNode("test", "a long name of an owner.txt")
			binary.LittleEndian.PutUint16(d.bytes[fatReserved*SectorSize+2*own.chain[0]:], uint16(n.chain[7]))
		},
		"two of its files share a chain": func(d *recorder, f *FAT) {
			n, _ := f.findNode("test", "a/vmlinuz")
			dtb, _ := f.findNode("test", "a/bcm2711-rpi-4-b.dtb")
			at := fatReserved*SectorSize + 2*dtb.chain[len(dtb.chain)-2]
			binary.LittleEndian.PutUint16(d.bytes[at:], uint16(n.chain[len(n.chain)-1]))
		},
		"it is not there": func(d *recorder, f *FAT) {
			for at := f.reader.rootAt; ; at += fatDirent {
				if d.bytes[at] == 'A' && d.bytes[at+1] == ' ' {
					d.bytes[at] = 0xe5
					return
				}
			}
		},
	} {
		d := twoFolders(t)
		f, err := OpenFAT(d, folderDisk)
		if err != nil {
			t.Fatal(err)
		}
		damage(d, f)
		if err := replaceB(d, 4); !errors.Is(err, ErrDamaged) && !errors.Is(err, fs.ErrNotExist) || len(d.log) > 0 {
			t.Errorf("%s: %v and %d writes, want a refusal", name, err, len(d.log))
		}
	}
}

func TestWriteRefusesBeforeItWrites(t *testing.T) {
	file := func(name string, size int64) FATFile {
		return FATFile{name, size, func() (io.ReadCloser, error) { t.Fatal("opened"); return nil, nil }}
	}
	for _, c := range []struct {
		name  string
		files []FATFile
		want  string
	}{
		{"what does not fit", []FATFile{file("x", 1000), file("big", 4*mib)}, ErrFull.Error()},
		{"names that differ in capitals", []FATFile{file("overlays/x", 1), file("Overlays/x", 1)}, "one name on FAT"},
		{"a path that leads out", []FATFile{file("../a/vmlinuz", 1)}, "not a clean relative path"},
		{"a size below zero", []FATFile{file("x", -1)}, "-1 bytes"},
	} {
		d := twoFolders(t)
		e, err := EditFolder(d, folderDisk, "b", "a")
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{e.Fits(c.files), e.Write(c.files)} {
			if err == nil || !strings.Contains(err.Error(), c.want) || len(d.log) > 0 {
				t.Errorf("%s: %v and %d writes, want %q", c.name, err, len(d.log), c.want)
			}
		}
	}
	if _, err := EditFolder(twoFolders(t), folderDisk, "a long name", ""); err == nil {
		t.Error("a folder's name of several entries is taken")
	}
}

// A source that fails in the middle leaves no folder, and room for the next attempt.
func TestASourceThatFailsLeavesNoFolder(t *testing.T) {
	failing := errors.New("the sum is wrong")
	for name, in := range map[string]io.Reader{
		"too short": bytes.NewReader(make([]byte, 99_999)), "too long": bytes.NewReader(make([]byte, 100_001)),
		"wrong at its end": io.MultiReader(bytes.NewReader(make([]byte, 100_000)), errorReader{failing}),
	} {
		d := twoFolders(t)
		e, err := EditFolder(d, folderDisk, "b", "a")
		if err != nil {
			t.Fatal(err)
		}
		open := func() (io.ReadCloser, error) { return io.NopCloser(in), nil }
		files := append(fatFiles(4), FATFile{"z", 100_000, open})
		if err := e.Clear(); err != nil {
			t.Fatal(err)
		}
		if err := e.Write(files); err == nil || strings.HasPrefix(name, "wrong") && !errors.Is(err, failing) {
			t.Errorf("%s: Write = %v", name, err)
		}
		besides(t, d.bytes)
		if err := errors.Join(replaceB(d, 6), holds(d.bytes, 6)); err != nil {
			t.Errorf("%s: the next attempt: %v", name, err)
		}
	}
}

// Whatever the table and the folders look like: what EditFolder takes on is replaced, and the good
// folder stays.
func FuzzReplaceFolder(f *testing.F) {
	f.Add(uint64(1), uint16(3))
	whole := twoFolders(f)
	f.Fuzz(func(t *testing.T, seed uint64, changes uint16) {
		d := &recorder{bytes: bytes.Clone(whole.bytes)}
		r := rand.New(rand.NewPCG(seed, 1))
		for range 1 + changes%64 {
			d.bytes[r.IntN(96<<10)] = byte(r.Uint32()) // boot sector, table, root folder, folders
		}
		before, err := OpenFATFolders(bytes.NewReader(bytes.Clone(d.bytes)), folderDisk, "a")
		if err != nil {
			return
		}
		kernel, _ := fs.ReadFile(before, "a/vmlinuz")
		if err := replaceB(d, 4); err != nil {
			return
		}
		after, err := OpenFATFolders(d, folderDisk, "a")
		if err != nil {
			t.Fatalf("folder a cannot be read: %v", err)
		}
		if got, _ := fs.ReadFile(after, "a/vmlinuz"); !bytes.Equal(got, kernel) {
			t.Error("folder a is changed")
		}
		if err := holds(d.bytes, 4); err != nil {
			t.Error(err)
		}
	})
}
