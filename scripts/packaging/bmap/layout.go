// What of an image must be written although it is zero: decided partition by partition, by what
// each holds. What this program does not know is written whole.

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A section is a part of the image: start and size in bytes.
type section struct{ start, size int64 }

// errTable says that the image has no partition table that we can go by.
var errTable = errors.New("no GPT of 512-byte sectors")

const (
	sectorSize = 512
	// blankStart is mapped of an empty partition: no superblock of what the card held before is then
	// found in it. That of btrfs, the last to come, lies at 64 KiB; blkid looks no further than 1 MiB.
	blankStart = 1 << 20
)

// mapImage reads the partition table and maps what must be written of the image r.
func mapImage(r io.ReaderAt, size int64) (*blockMap, error) {
	parts, err := readTable(r, size)
	if err != nil {
		return nil, err
	}
	m := newBlockMap(size)
	if err := m.addData(r); err != nil {
		return nil, err
	}
	m.addGaps(parts)
	for i, p := range parts {
		if err := m.addPartition(r, p); err != nil {
			return nil, fmt.Errorf("partition %d: %w", i+1, err)
		}
	}
	return m, nil
}

// addGaps maps all that belongs to no partition: tables, loaders, and the sector in which U-Boot
// keeps which slot it starts, whose zeros say "slot a".
func (m *blockMap) addGaps(parts []section) {
	in := newBlockMap(m.size)
	for _, p := range parts {
		in.add(p.start, p.size)
	}
	for b, inside := range in.mapped {
		if !inside {
			m.mapped[b] = true
		}
	}
}

func (m *blockMap) addPartition(r io.ReaderAt, p section) error {
	head := make([]byte, min(p.size, 4096))
	if _, err := r.ReadAt(head, p.start); err != nil {
		return fmt.Errorf("read %d bytes at %d: %w", len(head), p.start, err)
	}
	switch {
	case len(head) < 4096:
		m.add(p.start, p.size)
	case bytes.HasPrefix(head, []byte("hsqs")):
		// bytes_used of the superblock; the rest is padding.
		m.add(p.start, int64(min(binary.LittleEndian.Uint64(head[40:]), uint64(p.size))))
	case isFAT16(head):
		return m.addFAT16(r, p, head)
	case isExt(head):
		return m.addExt(r, p, head)
	case !m.hasData(p):
		m.add(p.start, min(p.size, blankStart))
	default:
		m.add(p.start, p.size)
	}
	return nil
}

// hasData tells whether a block of the partition is mapped already: before this, those with data are.
func (m *blockMap) hasData(p section) bool {
	for b := p.start / blockSize; b*blockSize < p.start+p.size; b++ {
		if m.mapped[b] {
			return true
		}
	}
	return false
}

// readTable reads the primary GPT (UEFI 2.10 section 5.3).
func readTable(r io.ReaderAt, size int64) ([]section, error) {
	if size%sectorSize != 0 || size < 64*sectorSize {
		return nil, fmt.Errorf("%d bytes: %w", size, errTable)
	}
	h := make([]byte, sectorSize)
	if _, err := r.ReadAt(h, sectorSize); err != nil {
		return nil, fmt.Errorf("read GPT: %w", err)
	}
	le := binary.LittleEndian
	at, count, length := le.Uint64(h[72:]), le.Uint32(h[80:]), le.Uint32(h[84:])
	sectors := uint64(size / sectorSize)
	if string(h[:8]) != "EFI PART" || count > 1024 || length < 128 || length > 4096 || at > sectors {
		return nil, errTable
	}
	entries := make([]byte, count*length)
	if _, err := r.ReadAt(entries, int64(at)*sectorSize); err != nil {
		return nil, fmt.Errorf("read %d entries of the GPT: %w", count, err)
	}
	var parts []section
	for ; len(entries) > 0; entries = entries[length:] {
		first, last := le.Uint64(entries[32:]), le.Uint64(entries[40:])
		if bytes.Equal(entries[:16], make([]byte, 16)) {
			continue
		}
		if first > last || last >= sectors {
			return nil, fmt.Errorf("partition from sector %d to %d of %d: %w", first, last, sectors, errTable)
		}
		parts = append(parts, section{int64(first) * sectorSize, int64(last-first+1) * sectorSize})
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("no partition: %w", errTable)
	}
	return parts, nil
}
