package disk

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mib = 1 << 20

func exampleTable() Table {
	id := func(last byte) GUID { return GUID{1, 2, 3, 15: last} }
	return Table{Disk: id(0), Size: 16 * mib, Partitions: []Partition{
		{Name: "boot", Type: TypeEFI, ID: id(1), Start: 4 * mib, Size: 4 * mib},
		{Name: "root-a", Type: TypeLinux, ID: id(2), Start: 8 * mib, Size: 2 * mib},
		{Name: "root-b", Type: TypeLinux, ID: id(3), Start: 10 * mib, Size: 2 * mib},
	}}
}

// newDisk is a sparse file of size bytes that ends with the test.
func newDisk(t testing.TB, size int64) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk.img"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTableReadsBackAsWritten(t *testing.T) {
	want := exampleTable()
	f := newDisk(t, want.Size)
	if err := WriteTable(f, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadTable(f, want.Size)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTableOnALargerCardIsStillRead(t *testing.T) {
	want := exampleTable()
	f := newDisk(t, want.Size)
	if err := WriteTable(f, want); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(64 * mib); err != nil {
		t.Fatal(err)
	}
	got, err := ReadTable(f, 64*mib)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" { // its size too: what lies behind is not the image's
		t.Error(d)
	}
}

func TestIndependentToolsAcceptTheTable(t *testing.T) {
	table := exampleTable()
	f := newDisk(t, table.Size)
	if err := WriteTable(f, table); err != nil {
		t.Fatal(err)
	}
	if out := runTool(t, "sgdisk", "-v", f.Name()); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk -v: %s", out)
	}
	if out := runTool(t, "sgdisk", "-p", f.Name()); !strings.Contains(out, "hybrid") &&
		!strings.Contains(out, "root-a") {
		t.Errorf("sgdisk -p: %s", out)
	}
	out := runTool(t, "sfdisk", "--dump", f.Name())
	for _, want := range []string{
		"label: gpt", "start=        8192, size=        8192", table.Partitions[1].ID.String(),
	} {
		if !strings.Contains(strings.ToLower(out), want) {
			t.Errorf("sfdisk --dump has no %q: %s", want, out)
		}
	}
}

func TestMBRShowsTheBootPartitionToOldBootROMs(t *testing.T) {
	f := newDisk(t, exampleTable().Size)
	if err := WriteTable(f, exampleTable()); err != nil {
		t.Fatal(err)
	}
	mbr := make([]byte, SectorSize)
	if _, err := f.ReadAt(mbr, 0); err != nil {
		t.Fatal(err)
	}
	first, second := mbr[446:462], mbr[462:478]
	if first[0] != 0x80 || first[4] != 0x0c || binary.LittleEndian.Uint32(first[8:]) != 8192 ||
		binary.LittleEndian.Uint32(first[12:]) != 8192 {
		t.Errorf("entry 1 = % x", first)
	}
	if second[4] != 0xee || binary.LittleEndian.Uint32(second[8:]) != 1 {
		t.Errorf("entry 2 = % x", second)
	}
}

func TestWriteTableRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Table)
		want   string
	}{
		{"partitions that overlap", func(t *Table) { t.Partitions[1].Start -= SectorSize }, "partition 2 begins at"},
		{"a partition behind the end", func(t *Table) { t.Partitions[2].Size = 6 * mib }, "ends behind"},
		{"a size whose sum overflows", func(t *Table) { t.Partitions[2].Size = 1<<63 - SectorSize }, "ends behind"},
		{"half a sector", func(t *Table) { t.Partitions[0].Size++ }, "whole sectors"},
		{"a partition on the table", func(t *Table) { t.Partitions[0].Start = SectorSize }, "before"},
		{"no partition", func(t *Table) { t.Partitions = nil }, "0 partitions"},
		{"a name that is too long", func(t *Table) { t.Partitions[0].Name = strings.Repeat("x", 37) }, "can hold 36"},
	} {
		table := exampleTable()
		c.change(&table)
		if err := WriteTable(newDisk(t, table.Size), table); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
}

func TestReadTableNoticesDamage(t *testing.T) {
	for _, c := range []struct {
		name string
		at   int64
	}{
		{"in the primary header", SectorSize + 60},
		{"in the primary entries", 2*SectorSize + 20},
		{"in the backup header", 16*mib - SectorSize + 60},
		{"in the backup entries", 16*mib - 33*SectorSize + 20},
	} {
		f := newDisk(t, exampleTable().Size)
		if err := WriteTable(f, exampleTable()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{0xa5}, c.at); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadTable(f, exampleTable().Size); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: error %v, want ErrDamaged", c.name, err)
		}
	}
}

func TestPrimaryTableAloneIsReadWithoutItsBackup(t *testing.T) {
	for _, c := range []struct {
		name string
		at   int64
		want error
	}{
		{"whole", 0, nil},
		{"the backup is damaged", 16*mib - SectorSize + 60, nil},
		{"the primary header is damaged", SectorSize + 60, ErrDamaged},
		{"the primary entries are damaged", 2*SectorSize + 20, ErrDamaged},
	} {
		f := newDisk(t, exampleTable().Size)
		if err := WriteTable(f, exampleTable()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{0xa5}, c.at); err != nil {
			t.Fatal(err)
		}
		got, err := ReadPrimaryTable(f, exampleTable().Size)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
		if diff := cmp.Diff(exampleTable(), got); err == nil && diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestGUIDKeepsItsText(t *testing.T) {
	for _, c := range []struct {
		text string
		guid GUID
	}{
		{"c12a7328-f81f-11d2-ba4b-00a0c93ec93b", TypeEFI},
		{"0fc63daf-8483-4772-8e79-3d69d8477de4", TypeLinux},
	} {
		got, err := ParseGUID(c.text)
		if err != nil || got != c.guid || got.String() != c.text {
			t.Errorf("ParseGUID(%s) = %v, %v", c.text, got, err)
		}
	}
	if _, err := ParseGUID("c12a7328"); err == nil {
		t.Error("a short GUID was taken")
	}
}
