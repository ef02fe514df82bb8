// Package writelog reads what QEMU recorded of a disk's writes, and shows the disk as a power cut
// would have left it at any moment.
//
// A disk has a cache: what was written before the last flush is there, of what came later each write
// may or may not be, and the last of those may be there in part, torn at a sector. Which ones is
// drawn from a seed, so that a cut can be seen again.
//
// A Log keeps places and no data; a Cut reads through to the log and to the disk as it was before.
// The package owns no file. Sizes and places are in bytes.
//
// Source: the Linux kernel's Documentation/admin-guide/device-mapper/log-writes.rst, whose format
// QEMU's block driver blklogwrites writes.
package writelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// SectorSize is what the log counts in, and what a write is torn at.
	SectorSize = 512

	magic      = 0x6a736677736872
	version    = 1
	flagFlush  = 1
	flagFUA    = 2
	flagDrop   = 4 // a discard: what is read afterwards is not known, and it has no data
	flagsKnown = flagFlush | flagFUA | flagDrop

	// maxEntries bounds the memory that a damaged log can take.
	maxEntries = 4 << 20
	maxWrite   = 256 << 20
	maxDiscard = 1 << 30 // of all entries: a discard has no data that would bound it
)

// ErrDamaged is wrapped by every error about a file that is no log.
var ErrDamaged = errors.New("damaged or no log of writes")

// An Entry is one write, or a flush.
type Entry struct {
	At, Size int64 // on the disk; Size is 0 for a flush
	Flush    bool  // all entries before this one are on the disk
	Discard  bool
	data     int64 // place in the log
}

// A Log is what a disk was written, in order.
type Log struct {
	Entries []Entry
	r       io.ReaderAt
}

// Read reads a log of size bytes up to its last whole entry. The header's count of entries is not
// looked at: QEMU writes it now and then only.
func Read(r io.ReaderAt, size int64) (*Log, error) {
	head := make([]byte, SectorSize)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("log of writes: header: %w", err)
	}
	le := binary.LittleEndian
	if le.Uint64(head) != magic || le.Uint64(head[8:]) != version || le.Uint32(head[24:]) != SectorSize {
		return nil, fmt.Errorf("log of writes: header % x: %w", head[:28], ErrDamaged)
	}
	l, discarded := &Log{r: r}, int64(0)
	for at := int64(SectorSize); at+SectorSize <= size; {
		e, ok, err := readEntry(r, at)
		if err != nil {
			return nil, err
		}
		if !ok || e.data+e.dataSize() > size {
			break
		}
		if e.Discard {
			discarded += e.Size
		}
		if l.Entries = append(l.Entries, e); len(l.Entries) > maxEntries || discarded > maxDiscard {
			return nil, fmt.Errorf("log of writes: %d entries, %d bytes discarded: %w", len(l.Entries), discarded,
				ErrDamaged)
		}
		at = e.data + e.dataSize()
	}
	return l, nil
}

// dataSize is what follows an entry in the log.
func (e Entry) dataSize() int64 {
	if e.Discard {
		return 0
	}
	return e.Size
}

// readEntry reads the entry at a place in the log; not ok is the end: zeros.
func readEntry(r io.ReaderAt, at int64) (e Entry, ok bool, err error) {
	b := make([]byte, 32)
	if _, err := r.ReadAt(b, at); err != nil {
		return e, false, fmt.Errorf("log of writes: entry at %d: %w", at, err)
	}
	le := binary.LittleEndian
	sector, count, flags := le.Uint64(b), le.Uint64(b[8:]), le.Uint64(b[16:])
	if sector == 0 && count == 0 && flags == 0 {
		return e, false, nil
	}
	if flags&^flagsKnown != 0 || count > maxWrite/SectorSize || sector > 1<<40 {
		return e, false, fmt.Errorf("log of writes: entry at %d: sector %d, %d sectors, flags %#x: %w", at, sector,
			count, flags, ErrDamaged)
	}
	return Entry{
		At: int64(sector) * SectorSize, Size: int64(count) * SectorSize,
		Flush: flags&flagFlush != 0, Discard: flags&flagDrop != 0, data: at + SectorSize,
	}, true, nil
}

// Flushes counts them: with none, a cut anywhere may lose everything.
func (l *Log) Flushes() (n int) {
	for _, e := range l.Entries {
		if e.Flush {
			n++
		}
	}
	return n
}
