// The partition table of a card: a GPT, and for the boot ROM of the Pi 3 the
// same boot partition once more in a hybrid MBR. Spec: UEFI 2.10 section 5.3.

package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	gptSignature    = "EFI PART"
	gptRevision     = 0x00010000
	gptHeaderSize   = 92
	gptEntries      = 128
	gptEntrySize    = 128
	gptEntrySectors = gptEntries * gptEntrySize / SectorSize // 32
	gptNameUnits    = 36                                     // UTF-16

	// The first sector a partition may begin at: MBR, header, entries.
	gptFirstUsable = 1 + 1 + gptEntrySectors // 34

	mbrFATLBA     = 0x0c // what the boot ROM looks for, whatever the width of the FAT
	mbrProtective = 0xee
	mbrActive     = 0x80
)

// Partition types.
var (
	// c12a7328-f81f-11d2-ba4b-00a0c93ec93b, EFI system partition
	TypeEFI = GUID{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b}
	// 0fc63daf-8483-4772-8e79-3d69d8477de4, Linux file system
	TypeLinux = GUID{0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4}
)

// A Partition is one entry of the table. Start and Size are whole sectors, in
// bytes.
type Partition struct {
	Name  string // up to 36 UTF-16 units
	Type  GUID
	ID    GUID // what the kernel calls PARTUUID
	Start int64
	Size  int64
}

// A Table is what both copies of the GPT say. Partition 1 is also in the MBR.
type Table struct {
	Disk       GUID
	Size       int64 // of the whole disk
	Partitions []Partition
}

// WriteTable writes MBR, primary and backup GPT. It leaves all other bytes of w
// as they are.
func WriteTable(w io.WriterAt, t Table) error {
	if err := t.checkLayout(); err != nil {
		return fmt.Errorf("partition table: %w", err)
	}
	entries, err := t.encodeEntries()
	if err != nil {
		return fmt.Errorf("partition table: %w", err)
	}
	last := uint64(t.Size/SectorSize) - 1
	backupEntries := last - gptEntrySectors
	for _, part := range []struct {
		sector uint64
		bytes  []byte
	}{
		{0, t.encodeHybridMBR()},
		{1, t.encodeHeader(1, last, 2, entries)},
		{2, entries},
		{backupEntries, entries},
		{last, t.encodeHeader(last, 1, backupEntries, entries)},
	} {
		if _, err := w.WriteAt(part.bytes, int64(part.sector)*SectorSize); err != nil {
			return fmt.Errorf("partition table: write sector %d: %w", part.sector, err)
		}
	}
	return nil
}

// checkLayout refuses partitions that overlap, lie on the table itself or are not
// made of whole sectors.
func (t Table) checkLayout() error {
	if t.Size%SectorSize != 0 {
		return fmt.Errorf("disk of %d bytes is not made of whole sectors", t.Size)
	}
	if n := len(t.Partitions); n < 1 || n > gptEntries {
		return fmt.Errorf("%d partitions, can hold 1 to %d", n, gptEntries)
	}
	end := int64(gptFirstUsable * SectorSize)
	usable := t.Size - (1+gptEntrySectors)*SectorSize
	for i, p := range t.Partitions {
		switch {
		case p.Start%SectorSize != 0 || p.Size%SectorSize != 0 || p.Size <= 0:
			return fmt.Errorf("partition %d at %d with %d bytes is not made of whole sectors", i+1, p.Start, p.Size)
		case p.Start < end:
			return fmt.Errorf("partition %d begins at %d, before %d where the one before it ends", i+1, p.Start, end)
		case p.Size > usable-p.Start: // this way round it cannot overflow
			return fmt.Errorf("partition %d at %d with %d bytes ends behind %d, the end of the disk",
				i+1, p.Start, p.Size, usable)
		}
		end = p.Start + p.Size
	}
	return nil
}

func (t Table) encodeEntries() ([]byte, error) {
	all := make([]byte, gptEntries*gptEntrySize)
	for i, p := range t.Partitions {
		e := all[i*gptEntrySize:][:gptEntrySize]
		copy(e[0:], p.Type[:])
		copy(e[16:], p.ID[:])
		binary.LittleEndian.PutUint64(e[32:], uint64(p.Start/SectorSize))
		binary.LittleEndian.PutUint64(e[40:], uint64((p.Start+p.Size)/SectorSize-1))
		name := utf16Units(p.Name)
		if len(name) > gptNameUnits {
			return nil, fmt.Errorf("partition %d: name %q has %d UTF-16 units, can hold %d",
				i+1, p.Name, len(name), gptNameUnits)
		}
		for j, unit := range name {
			binary.LittleEndian.PutUint16(e[56+2*j:], unit)
		}
	}
	return all, nil
}

// encodeHeader is the GPT header of table 5.5, in a sector of its own.
func (t Table) encodeHeader(own, other, entriesAt uint64, entries []byte) []byte {
	h := make([]byte, 0, SectorSize)
	le := binary.LittleEndian
	h = append(h, gptSignature...)
	h = le.AppendUint32(h, gptRevision)
	h = le.AppendUint32(h, gptHeaderSize)
	h = le.AppendUint32(h, 0) // CRC of this header, below
	h = le.AppendUint32(h, 0)
	h = le.AppendUint64(h, own)
	h = le.AppendUint64(h, other)
	h = le.AppendUint64(h, gptFirstUsable)
	h = le.AppendUint64(h, uint64(t.Size/SectorSize)-1-gptEntrySectors-1)
	h = append(h, t.Disk[:]...)
	h = le.AppendUint64(h, entriesAt)
	h = le.AppendUint32(h, gptEntries)
	h = le.AppendUint32(h, gptEntrySize)
	h = le.AppendUint32(h, crc32.ChecksumIEEE(entries))
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h))
	return append(h, make([]byte, SectorSize-gptHeaderSize)...)
}

// encodeHybridMBR shows partition 1 to boot ROMs that know no GPT (Pi 3, Zero 2 W),
// and covers the rest of the table with a protective entry.
func (t Table) encodeHybridMBR() []byte {
	mbr := make([]byte, SectorSize)
	boot := t.Partitions[0]
	start, size := uint32(boot.Start/SectorSize), uint32(boot.Size/SectorSize)
	put := func(i int, flag, kind byte, start, size uint32) {
		e := mbr[446+16*i:][:16]
		e[0], e[4] = flag, kind
		// Cylinder, head and sector: "too big to say" since 8 GB disks.
		copy(e[1:], []byte{0xfe, 0xff, 0xff})
		copy(e[5:], []byte{0xfe, 0xff, 0xff})
		binary.LittleEndian.PutUint32(e[8:], start)
		binary.LittleEndian.PutUint32(e[12:], size)
	}
	put(0, mbrActive, mbrFATLBA, start, size)
	put(1, 0, mbrProtective, 1, start-1)
	mbr[510], mbr[511] = 0x55, 0xaa
	return mbr
}
