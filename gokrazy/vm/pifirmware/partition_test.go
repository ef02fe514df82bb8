package pifirmware

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// memory is a disk in memory.
type memory []byte

func (m memory) WriteAt(b []byte, at int64) (int, error) { return copy(m[at:], b), nil }

// cardOf is a card with the files of boot.
func cardOf(t *testing.T) memory {
	t.Helper()
	const mib = 1 << 20
	m := make(memory, 16*mib)
	table := disk.Table{Disk: disk.GUID{1}, Size: int64(len(m)), Partitions: []disk.Partition{
		{Type: disk.TypeEFI, ID: disk.GUID{2}, Start: mib, Size: 8 * mib}}}
	var entries []disk.Entry
	for name, f := range bootFiles() {
		entries = append(entries, disk.Entry{Path: name, Bytes: f.Data})
	}
	err := errors.Join(disk.WriteTable(m, table),
		disk.WriteFAT(io.NewOffsetWriter(m, mib), disk.FATOptions{Size: 8 * mib}, entries))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDamageInOneSlotDoesNotDisturbTheOther(t *testing.T) {
	m := cardOf(t)
	damage(t, m)
	if _, _, err := card.OpenBoot(bytes.NewReader(m), int64(len(m))); !errors.Is(err, disk.ErrDamaged) {
		t.Fatalf("the damage is not seen: %v", err)
	}
	boot, err := OpenBoot(bytes.NewReader(m), int64(len(m)))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Select(boot, Pi4B(), false); err != nil || s.Kernel != "a/vmlinuz" {
		t.Errorf("Select = %+v, %v, want slot a", s, err)
	}
	if s, err := Select(boot, Pi4B(), true); !errors.Is(err, ErrNoBoot) {
		t.Errorf("Select of the damaged slot = %+v, %v, want ErrNoBoot", s, err)
	}
	if b, err := fs.ReadFile(boot, "u-boot.bin"); err != nil || string(b) != "u-boot.bin" {
		t.Errorf("u-boot.bin = %q, %v", b, err)
	}
}

// damage gives the kernel of slot b more bytes than clusters, as if the file system's table had not come
// to the card before a power cut.
func damage(t *testing.T, m memory) {
	t.Helper()
	second := bytes.LastIndex(m, []byte("VMLINUZ    "))
	first := bytes.Index(m, []byte("VMLINUZ    "))
	if first < 0 || second <= first {
		t.Fatal("the card has no two kernels")
	}
	m[second+29] = 0xff // of its size
}
