package slot

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

const (
	mib      = 1 << 20
	bootSize = 5 * mib / 2 // about the least that is FAT16
	cardSize = 4 * mib
)

// A memoryDisk is a card in memory that remembers what was written. It loses power after so many
// sectors.
type memoryDisk struct {
	bytes  []byte
	writes []sectorWrite
	synced int // of writes
	early  int // writes that came before the one before was flushed
	power  int // sectors that can still be written; -1: all
}

var errPower = errors.New("the power is cut")

func (d *memoryDisk) ReadAt(b []byte, at int64) (int, error) {
	if d.power == 0 {
		return 0, errPower
	}
	return bytes.NewReader(d.bytes).ReadAt(b, at)
}

func (d *memoryDisk) WriteAt(b []byte, at int64) (int, error) {
	if d.power == 0 {
		return 0, errPower
	}
	if d.power > 0 {
		d.power--
	}
	if len(d.writes) > d.synced {
		d.early++
	}
	copy(d.bytes[at:], b)
	d.writes = append(d.writes, sectorWrite{at: at, bytes: bytes.Clone(b)})
	return len(b), nil
}

func (d *memoryDisk) Sync() error {
	if d.power == 0 {
		return errPower
	}
	d.synced = len(d.writes)
	return nil
}

// forget begins a new list of writes.
func (d *memoryDisk) forget() { d.writes, d.synced, d.early = nil, 0, 0 }

// configText is config.txt or tryboot.txt of a new card.
func configText(n Name) []byte {
	text := "arm_64bit=1\nenable_uart=1\n[pi4]\nos_prefix=" + n.Folder() + "/\nkernel=vmlinuz\n[pi5]\nos_prefix=" +
		n.Folder() + "/\nkernel=vmlinuz\n[pi3]\nkernel=u-boot.bin\n[pi02]\nkernel=u-boot.bin\n[all]\n"
	return []byte(text + strings.Repeat("\n", disk.SectorSize-len(text)))
}

// newCard is a small card with slot a promoted; of a BeagleBone if it has no files of a Pi.
func newCard(t testing.TB, files ...disk.Entry) *memoryDisk {
	t.Helper()
	d := &memoryDisk{bytes: make([]byte, cardSize), power: -1}
	table := disk.Table{Disk: disk.GUID{1}, Size: cardSize}
	at := int64(mib)
	for i, size := range []int64{bootSize, mib / 16, mib / 16, mib / 16} {
		table.Partitions = append(table.Partitions, disk.Partition{Type: disk.TypeLinux, ID: disk.GUID{byte(i + 2)},
			Start: at, Size: size})
		at += size
	}
	for _, n := range []Name{A, B} {
		line, err := Cmdline([]byte(exampleCmdline), n)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, disk.Entry{Path: n.Folder() + "/vmlinuz", Bytes: []byte("kernel")},
			disk.Entry{Path: n.Folder() + "/cmdline.txt", Bytes: line})
	}
	err := errors.Join(disk.WriteTable(d, table),
		disk.WriteFAT(io.NewOffsetWriter(d, mib), disk.FATOptions{Size: bootSize, Hidden: mib}, files))
	sector := StateSector(State{Slot: A})
	if _, err2 := d.WriteAt(sector[:], card.StateSector*disk.SectorSize); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	d.forget()
	return d
}

func piFiles() []disk.Entry {
	return []disk.Entry{{Path: card.ConfigName, Bytes: configText(A)}, {Path: card.TrybootName, Bytes: configText(B)}}
}

func openCard(t testing.TB, d *memoryDisk) *Card {
	t.Helper()
	c, err := Open(d, int64(len(d.bytes)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpenReadsWhatACardSays(t *testing.T) {
	p := openCard(t, newCard(t, piFiles()...)).Pointers()
	if p.Firmware != A || p.Tryboot != B || p.UBoot != A || p.Try != None || p.Damaged != nil {
		t.Errorf("a new Pi's card says %+v", p)
	}
	p = openCard(t, newCard(t)).Pointers()
	if p.Firmware != None || p.Tryboot != None || p.UBoot != A || p.Try != None || p.Damaged != nil {
		t.Errorf("a new BeagleBone's card says %+v", p)
	}
}

// A card that was moved, or not healed yet, may name a slot in one place alone: that slot is no less
// promoted in some model.
func TestASlotThatAnyPlaceStartsIsNotTried(t *testing.T) {
	for _, says := range []struct{ config, uBoot Name }{{A, B}, {B, A}} {
		d := newCard(t, piFiles()...)
		c := openCard(t, d)
		steps, err := c.plan(None, says.config, State{Slot: says.uBoot})
		if err := errors.Join(err, c.write("prepare", steps)); err != nil {
			t.Fatal(err)
		}
		d.forget()
		for _, n := range []Name{A, B} {
			if err := openCard(t, d).RequestTrial(n); !errors.Is(err, ErrPromoted) || len(d.writes) > 0 {
				t.Errorf("config.txt starts slot %s, U-Boot %s: RequestTrial(%s) = %v and %d writes, want ErrPromoted",
					says.config, says.uBoot, n, err, len(d.writes))
			}
		}
	}
}

func TestAnUpdateTriesAndPromotesOnEveryPlace(t *testing.T) {
	d := newCard(t, piFiles()...)
	c := openCard(t, d)
	if err := c.RequestTrial(A); !errors.Is(err, ErrPromoted) {
		t.Errorf("RequestTrial(a) = %v, want ErrPromoted", err)
	}
	if err := c.RequestTrial(B); err != nil {
		t.Fatal(err)
	}
	if p := c.Pointers(); p.Firmware != A || p.Tryboot != B || p.UBoot != A || p.Try != B {
		t.Errorf("with slot b to be tried the card says %+v", p)
	}
	if _, err := c.Heal(board.Tryboot, B); !errors.Is(err, ErrOnTrial) {
		t.Errorf("Heal while b is on trial = %v, want ErrOnTrial", err)
	}
	if err := c.Promote(B); err != nil {
		t.Fatal(err)
	}
	want := Pointers{Firmware: B, Tryboot: A, UBoot: B}
	for _, c := range []*Card{c, openCard(t, d)} {
		if p := c.Pointers(); p.Firmware != want.Firmware || p.Tryboot != want.Tryboot || p.UBoot != want.UBoot ||
			p.Try != None {
			t.Errorf("promoted: the card says %+v, want %+v", p, want)
		}
	}
	before := len(d.writes)
	if err := c.Promote(B); err != nil || len(d.writes) != before {
		t.Errorf("Promote(b) again = %v, %d writes more", err, len(d.writes)-before)
	}
	for _, kind := range []board.Trial{board.Tryboot, board.UBootTry} {
		if n, err := c.Promoted(kind); n != B || err != nil {
			t.Errorf("Promoted(%s) = %s, %v", kind, n, err)
		}
	}
	if _, err := c.Promoted(""); err == nil {
		t.Error("an unknown model has a promoted slot")
	}
}

func TestClearTrialTakesARequestBack(t *testing.T) {
	d := newCard(t)
	c := openCard(t, d)
	if err := errors.Join(c.RequestTrial(B), c.ClearTrial()); err != nil {
		t.Fatal(err)
	}
	if p := openCard(t, d).Pointers(); p.Try != None || p.UBoot != A {
		t.Errorf("the card says %+v", p)
	}
}

// What an owner's editor may leave: another length, Windows' line ends, lines of their own.
func TestAnOwnersConfigIsChangedInOneLetter(t *testing.T) {
	const own = "# mine\r\ndtoverlay=dwc2\r\n[pi4]\r\nos_prefix=a/\r\nkernel=vmlinuz\r\n"
	d := newCard(t, disk.Entry{Path: "CONFIG.TXT", Bytes: []byte(own)},
		disk.Entry{Path: card.TrybootName, Bytes: configText(B)})
	c := openCard(t, d)
	if err := c.RequestTrial(B); err != nil {
		t.Fatal(err)
	}
	try := strings.Replace(own, "=a/", "=b/", 1)
	if got := readBoot(t, d, card.TrybootName); strings.TrimRight(got, "\n") != strings.TrimRight(try, "\n") ||
		len(got) != disk.SectorSize {
		t.Errorf("tryboot.txt does not follow: %q", got)
	}
	if err := c.Promote(B); err != nil {
		t.Fatal(err)
	}
	if got := readBoot(t, d, card.ConfigName); got != try {
		t.Errorf("config.txt is %q, want %q", got, try)
	}
}

func TestAConfigThatCannotBeSwitchedIsRefusedInWords(t *testing.T) {
	far := "[pi4]\nos_prefix=a/\n" + strings.Repeat("# more\n", 80) + "[pi5]\nos_prefix=a/\n"
	for name, c := range map[string]struct{ text, want string }{
		"in two sectors":  {far, "sectors 0 and 1"},
		"without a line":  {"kernel=vmlinuz\n", "no such line"},
		"another folder":  {"os_prefix=old/\n", `is "old/", want a/ or b/`},
		"without a slash": {"os_prefix=a\n", `is "a", want a/ or b/`},
	} {
		d := newCard(t, disk.Entry{Path: card.ConfigName, Bytes: []byte(c.text)},
			disk.Entry{Path: card.TrybootName, Bytes: configText(B)})
		opened := openCard(t, d)
		for _, err := range []error{opened.CheckSwitch(), opened.Promote(B), opened.RequestTrial(B)} {
			if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q in it", name, err, c.want)
			}
		}
		if len(d.writes) > 0 {
			t.Errorf("%s: %d writes all the same", name, len(d.writes))
		}
	}
}

// Nothing ever points to a slot that slotwriter has not finished.
func TestAnEmptySlotIsNeitherTriedNorPromoted(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(boot []byte)
		want   error
	}{
		"no folder": {func(boot []byte) {
			boot[bytes.Index(boot, []byte("B          \x10"))] = 0xe5 // the folder's entry
		}, ErrEmpty},
		"the other slot's root": {func(boot []byte) {
			boot[bytes.LastIndex(boot, []byte("/PARTNROFF=2"))+len("/PARTNROFF=")] = '1'
		}, ErrCmdline},
	} {
		d := newCard(t, piFiles()...)
		c.damage(d.bytes[mib:])
		opened := openCard(t, d)
		for _, err := range []error{opened.RequestTrial(B), opened.Promote(B), opened.CheckSlot(B)} {
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		if len(d.writes) > 0 {
			t.Errorf("%s: %d writes all the same", name, len(d.writes))
		}
		if err := opened.CheckSlot(A); err != nil {
			t.Error(err)
		}
	}
	d := newCard(t, piFiles()[0]) // without tryboot.txt
	if err := openCard(t, d).RequestTrial(B); !errors.Is(err, fs.ErrNotExist) || len(d.writes) > 0 {
		t.Errorf("without tryboot.txt: %v and %d writes", err, len(d.writes))
	}
}

func TestAWriteThatReadsBackOtherwiseIsAnError(t *testing.T) {
	d := newCard(t)
	c := openCard(t, d)
	c.disk = stubborn{d}
	if err := c.Promote(B); err == nil || !strings.Contains(err.Error(), "reads back otherwise") {
		t.Errorf("Promote on a card that keeps nothing = %v", err)
	}
}

// A stubborn card says that it wrote, and did not: a worn out one that has become read-only.
type stubborn struct{ *memoryDisk }

func (stubborn) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }

func readBoot(t *testing.T, d *memoryDisk, name string) string {
	t.Helper()
	boot, err := disk.OpenFAT(io.NewSectionReader(d, mib, bootSize), bootSize)
	if err != nil {
		t.Fatal(err)
	}
	b, err := fs.ReadFile(boot, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
