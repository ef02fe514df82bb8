// Reading the partition table of a disk that may be hostile or cut short.
// Test with fuzzed tables: FuzzReadTable.

package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// ReadTable reads the primary GPT of a disk of size bytes and compares it with
// the backup, which may lie before the end of the disk: an image on a larger
// card leaves it there. The table's Size ends with the backup.
func ReadTable(r io.ReaderAt, size int64) (Table, error) {
	t, backup, err := readHeader(r, size, 1)
	if err != nil {
		return Table{}, fmt.Errorf("primary GPT: %w", err)
	}
	t2, _, err := readHeader(r, size, backup)
	if err != nil {
		return Table{}, fmt.Errorf("backup GPT: %w", err)
	}
	if t.Disk != t2.Disk || len(t.Partitions) != len(t2.Partitions) {
		return Table{}, fmt.Errorf("GPT: primary and backup differ: %w", ErrDamaged)
	}
	for i := range t.Partitions {
		if t.Partitions[i] != t2.Partitions[i] {
			return Table{}, fmt.Errorf("GPT: partition %d differs in the backup: %w", i+1, ErrDamaged)
		}
	}
	t.Size = int64(backup+1) * SectorSize // backup is below size/SectorSize: it was read
	if err := t.checkLayout(); err != nil {
		return Table{}, fmt.Errorf("GPT: %w: %w", err, ErrDamaged)
	}
	return t, nil
}

// ReadPrimaryTable reads the primary GPT alone, which is all that Linux goes by: a board
// must start from a card whose backup is damaged.
func ReadPrimaryTable(r io.ReaderAt, size int64) (Table, error) {
	t, _, err := readHeader(r, size, 1)
	if err != nil {
		return Table{}, fmt.Errorf("primary GPT: %w", err)
	}
	return t, nil
}

// readHeader reads the header at a sector and its entries; it also gives the
// sector of the other header.
func readHeader(r io.ReaderAt, size int64, sector uint64) (Table, uint64, error) {
	sectors := uint64(size / SectorSize)
	if sector >= sectors {
		return Table{}, 0, fmt.Errorf("sector %d of %d: %w", sector, sectors, ErrDamaged)
	}
	h := make([]byte, gptHeaderSize)
	if _, err := r.ReadAt(h, int64(sector)*SectorSize); err != nil {
		return Table{}, 0, fmt.Errorf("read sector %d: %w", sector, err)
	}
	le := binary.LittleEndian
	sum := le.Uint32(h[16:])
	le.PutUint32(h[16:], 0)
	entriesAt := le.Uint64(h[72:])
	switch {
	case string(h[:8]) != gptSignature || le.Uint32(h[8:]) != gptRevision || le.Uint32(h[12:]) != gptHeaderSize:
		return Table{}, 0, fmt.Errorf("sector %d: no header: %w", sector, ErrDamaged)
	case sum != crc32.ChecksumIEEE(h):
		return Table{}, 0, fmt.Errorf("sector %d: checksum of the header: %w", sector, ErrDamaged)
	case le.Uint32(h[80:]) != gptEntries || le.Uint32(h[84:]) != gptEntrySize:
		return Table{}, 0, fmt.Errorf("sector %d: %d entries of %d bytes: %w",
			sector, le.Uint32(h[80:]), le.Uint32(h[84:]), ErrDamaged)
	case le.Uint64(h[24:]) != sector || entriesAt >= sectors-min(sectors, gptEntrySectors):
		return Table{}, 0, fmt.Errorf("sector %d: entries at sector %d: %w", sector, entriesAt, ErrDamaged)
	}
	entries := make([]byte, gptEntries*gptEntrySize)
	if _, err := r.ReadAt(entries, int64(entriesAt)*SectorSize); err != nil {
		return Table{}, 0, fmt.Errorf("read entries at sector %d: %w", entriesAt, err)
	}
	if le.Uint32(h[88:]) != crc32.ChecksumIEEE(entries) {
		return Table{}, 0, fmt.Errorf("sector %d: checksum of the entries: %w", sector, ErrDamaged)
	}
	t := Table{Disk: GUID(h[56:72]), Size: size, Partitions: partitions(entries, sectors)}
	if err := t.checkLayout(); err != nil {
		return Table{}, 0, fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	return t, le.Uint64(h[32:]), nil
}

// partitions ends at the first unused entry. Sectors beyond the disk become a
// size that check refuses.
func partitions(entries []byte, sectors uint64) []Partition {
	var all []Partition
	for e := range slices.Chunk(entries, gptEntrySize) {
		first, last := binary.LittleEndian.Uint64(e[32:]), binary.LittleEndian.Uint64(e[40:])
		p := Partition{Type: GUID(e[0:16]), ID: GUID(e[16:32]), Name: utf16Text(e[56:128])}
		if p.Type == (GUID{}) {
			break
		}
		if first <= last && last < sectors {
			p.Start, p.Size = int64(first)*SectorSize, int64(last-first+1)*SectorSize
		}
		all = append(all, p)
	}
	return all
}
