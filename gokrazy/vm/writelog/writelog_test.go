package writelog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// A step is one write of a test: sectors filled with a letter. A step without sectors is a flush.
type step struct {
	at, sectors int64
	fill        byte
}

// record writes a log file of steps.
func record(t testing.TB, steps ...step) *Log {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	w, err := NewWriter(f)
	for _, s := range steps {
		b := bytes.Repeat([]byte{s.fill}, int(s.sectors)*SectorSize)
		e := Entry{At: s.at * SectorSize, Size: int64(len(b)), Flush: s.sectors == 0}
		e.Discard = s.fill == 0 && s.sectors > 0
		if e.Discard {
			b = nil
		}
		err = errors.Join(err, w.add(e, bytes.NewReader(b)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, f)
}

func readAll(t testing.TB, f *os.File) *Log {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	l, err := Read(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// letters reads the first letter of each of eight sectors, in one read.
func letters(t testing.TB, d *Disk) string {
	t.Helper()
	b := make([]byte, 8*SectorSize)
	if _, err := d.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for s := range 8 {
		sector := b[s*SectorSize:][:SectorSize]
		if len(bytes.Trim(sector, string(sector[:1]))) != 0 {
			t.Fatalf("sector %d is mixed", s)
		}
		if sector[0] == 0 {
			sector = []byte{'0'}
		}
		out.WriteByte(sector[0])
	}
	return out.String()
}

var blank = bytes.NewReader(bytes.Repeat([]byte{'.'}, 8*SectorSize))

func TestWhatWasFlushedIsThereAndTheRestMayBe(t *testing.T) {
	l := record(t, step{0, 2, 'a'}, step{2, 1, 'b'}, step{}, step{3, 3, 'c'}, step{0, 1, 'd'}, step{}, step{7, 1, 0})
	if len(l.Entries) != 7 || l.Flushes() != 2 {
		t.Fatalf("%d entries, %d flushes, want 7 and 2", len(l.Entries), l.Flushes())
	}
	r := NewReplay(l, blank)
	for n, want := range map[int][]string{
		0: {"........"},
		1: {"........", "a.......", "aa......"},
		2: {"........", "a.......", "aa......", "aab.....", "..b....."},
		3: {"aab....."},
		4: {"aab.....", "aabc....", "aabcc...", "aabccc.."},
		5: {"aab.....", "aabc....", "aabcc...", "aabccc..", "dab.....", "dabccc.."},
		6: {"dabccc.."},
		7: {"dabccc..", "dabccc.0"},
	} {
		seen := map[string]bool{}
		for seed := range uint64(200) {
			got := letters(t, r.Cut(n, seed))
			seen[got] = true
			if !bytes.Contains([]byte(strings.Join(want, " ")), []byte(got)) {
				t.Fatalf("cut after %d, seed %d: %s, want one of %q", n, seed, got, want)
			}
		}
		if len(seen) != len(want) {
			t.Errorf("cut after %d: 200 seeds gave %v, want %d kinds", n, seen, len(want))
		}
	}
	if got := letters(t, r.Whole()); got != "dabccc.0" {
		t.Errorf("whole = %s", got)
	}
}

func TestOneSeedGivesOneDisk(t *testing.T) {
	l := record(t, step{0, 4, 'a'}, step{4, 4, 'b'}, step{2, 4, 'c'})
	for seed := range uint64(50) {
		a, b := letters(t, NewReplay(l, blank).Cut(3, seed)), letters(t, NewReplay(l, blank).Cut(3, seed))
		if a != b {
			t.Fatalf("seed %d: %s and %s", seed, a, b)
		}
	}
}

func TestReadsAtAnyPlaceAgreeWithACopy(t *testing.T) {
	l := record(t, step{1, 3, 'a'}, step{}, step{2, 4, 'b'}, step{6, 1, 0}, step{})
	d := NewReplay(l, blank).Cut(5, 1)
	copied := make([]byte, 8*SectorSize)
	if _, err := io.ReadFull(io.NewSectionReader(blank, 0, blank.Size()), copied); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteChanges(memory(copied)); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		at := random.Int64N(8 * SectorSize)
		b := make([]byte, random.Int64N(8*SectorSize-at)+1)
		if n, err := d.ReadAt(b, at); err != nil || n != len(b) || !bytes.Equal(b, copied[at:][:len(b)]) {
			t.Fatalf("%d bytes at %d: %d, %v", len(b), at, n, err)
		}
	}
}

type memory []byte

func (m memory) WriteAt(b []byte, at int64) (int, error) { return copy(m[at:], b), nil }

func TestALogThatEndsInAnEntryEndsBeforeIt(t *testing.T) {
	l := record(t, step{0, 2, 'a'}, step{2, 2, 'b'})
	whole := make([]byte, l.Entries[1].data+l.Entries[1].Size)
	if _, err := l.r.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	for cut, want := range map[int]int{len(whole): 2, len(whole) - 1: 1, int(l.Entries[1].data) - 1: 1, SectorSize: 0} {
		got, err := Read(bytes.NewReader(whole[:cut]), int64(cut))
		if err != nil || len(got.Entries) != want {
			t.Errorf("%d bytes: %v, %v, want %d entries", cut, got, err, want)
		}
	}
	if got, err := Read(bytes.NewReader(append(whole, make([]byte, 4096)...)), int64(len(whole)+4096)); err != nil ||
		len(got.Entries) != 2 {
		t.Errorf("with zeros behind it: %v, %v, want 2 entries", got, err)
	}
}

func TestLogsAreJoined(t *testing.T) {
	first, second := record(t, step{0, 1, 'a'}, step{}), record(t, step{1, 1, 'b'}, step{})
	f, err := os.Create(filepath.Join(t.TempDir(), "joined"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := NewWriter(f)
	if err := errors.Join(err, w.Append(first), w.AppendWrite(bytes.Repeat([]byte{'x'}, SectorSize), 2*SectorSize),
		w.Append(second)); err != nil {
		t.Fatal(err)
	}
	l := readAll(t, f)
	if got := letters(t, NewReplay(l, blank).Cut(len(l.Entries), 1)); got != "abx....." {
		t.Errorf("joined log = %s", got)
	}
}

// qemu-io plays the guest: the bytes on disk and log are QEMU's own.
func TestQEMUsOwnLogIsRead(t *testing.T) {
	need.Tools(t, "qemu-io")
	dir := t.TempDir()
	disk, file := filepath.Join(dir, "disk"), filepath.Join(dir, "log")
	for name, size := range map[string]int64{disk: 1 << 20, file: 0} {
		if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, size)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("qemu-io", "-n", "-t", "writeback", "--image-opts",
		"driver=blklogwrites,file.driver=file,file.filename="+disk+",log.driver=file,log.filename="+file+
			",log-sector-size=512",
		"-c", "write -P 0x61 0 1024", "-c", "flush", "-c", "write -P 0x62 512 2048", "-c", "write -P 0x63 3584 512")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("qemu-io: %v: %s", err, out)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l := readAll(t, f)
	r := NewReplay(l, bytes.NewReader(make([]byte, 1<<20)))
	if got := letters(t, r.Whole()); got != "abbbb00c" {
		t.Errorf("whole = %s, want abbbb00c", got)
	}
	if got := letters(t, r.Cut(2, 1)); got != "aa000000" {
		t.Errorf("after the flush %s, want aa000000", got)
	}
}

func TestWhatIsNoLogIsRefused(t *testing.T) {
	head := make([]byte, 4*SectorSize)
	binary.LittleEndian.PutUint64(head, magic)
	binary.LittleEndian.PutUint64(head[8:], version)
	binary.LittleEndian.PutUint32(head[24:], SectorSize)
	with := func(at int, v uint64) []byte {
		b := bytes.Clone(head)
		binary.LittleEndian.PutUint64(b[at:], v)
		return b
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "zeros": make([]byte, 1024), "version": with(8, 2), "sectors of 4096 bytes": with(24, 4096),
		"unknown flags": with(SectorSize+16, 64), "a huge write": with(SectorSize+8, 1<<40),
	} {
		if l, err := Read(bytes.NewReader(b), int64(len(b))); err == nil {
			t.Errorf("%s: %v, want an error", name, l)
		}
	}
}

func FuzzRead(f *testing.F) {
	l := record(f, step{0, 1, 'a'}, step{}, step{3, 1, 0})
	b := make([]byte, l.Entries[2].data)
	if _, err := l.r.ReadAt(b, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		d := NewReplay(l, bytes.NewReader(make([]byte, 8*SectorSize))).Cut(len(l.Entries), 1)
		if _, err := d.ReadAt(make([]byte, 8*SectorSize), 0); err != nil {
			t.Fatal(err)
		}
	})
}
