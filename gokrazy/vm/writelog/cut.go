// A disk after a power cut.

package writelog

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
)

// A Replay gives the cuts of a log one after the other. It is not safe for use by several goroutines.
type Replay struct {
	log    *Log
	before io.ReaderAt // the disk before the first entry

	flushed map[int64]int64 // sector of the disk to its place in the log
	done    int             // entries that flushed has
}

// NewReplay replays a log over the disk as it was before; that must not change meanwhile.
func NewReplay(l *Log, before io.ReaderAt) *Replay {
	return &Replay{log: l, before: before, flushed: map[int64]int64{}}
}

// dropped is in the place of a discarded sector's data: zeros are read.
const dropped = -1

// Cut is the disk without power after the first n entries. All writes up to the last flush are
// there; of those behind it each one is or is not, by seed, and the last one that is may be torn. It
// is cheap if n is not less than in the call before.
func (r *Replay) Cut(n int, seed uint64) *Disk {
	entries := r.log.Entries[:min(n, len(r.log.Entries))]
	flush := 0 // entries before it are on the disk
	for i, e := range entries {
		if e.Flush {
			flush = i
		}
	}
	if flush < r.done {
		r.flushed, r.done = map[int64]int64{}, 0
	}
	for _, e := range entries[r.done:flush] {
		e.putInto(r.flushed, e.Size)
	}
	r.done = flush
	disk := &Disk{replay: r, flushed: r.flushed, late: map[int64]int64{}}
	disk.loseSome(entries[flush:], seed)
	return disk
}

// Whole is the disk after all entries, as a reset without a power cut leaves it.
func (r *Replay) Whole() *Disk {
	all := map[int64]int64{}
	for _, e := range r.log.Entries {
		e.putInto(all, e.Size)
	}
	return &Disk{replay: r, flushed: all}
}

// putInto notes where the first size bytes of an entry's data are.
func (e Entry) putInto(sectors map[int64]int64, size int64) {
	for at := int64(0); at < size; at += SectorSize {
		place := e.data + at
		if e.Discard {
			place = dropped
		}
		sectors[(e.At+at)/SectorSize] = place
	}
}

// A Disk is what a cut left. Reads are good until the next Cut of the same Replay.
type Disk struct {
	replay  *Replay
	flushed map[int64]int64
	late    map[int64]int64 // behind the last flush

	// Kept and Lost count the writes behind the last flush; Torn is how many bytes the last one kept
	// has of its own.
	Kept, Lost int
	Torn       int64
}

// loseSome draws which of the writes behind the last flush are there. The rates differ from cut to
// cut: a cache may have written nearly all or nearly nothing.
func (d *Disk) loseSome(entries []Entry, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	keep := random.Float64()
	var kept []Entry
	for _, e := range entries {
		switch {
		case e.Size == 0:
		case random.Float64() < keep:
			kept = append(kept, e)
		default:
			d.Lost++
		}
	}
	d.Kept = len(kept)
	for i, e := range kept {
		size := e.Size
		if i == len(kept)-1 {
			size = SectorSize * (1 + random.Int64N(e.Size/SectorSize))
			d.Torn = size
		}
		e.putInto(d.late, size)
	}
}

// ReadAt implements io.ReaderAt.
func (d *Disk) ReadAt(b []byte, at int64) (n int, err error) {
	for n < len(b) {
		sector, within := at/SectorSize, at%SectorSize
		size := min(SectorSize-within, int64(len(b)-n))
		from, place := d.find(sector)
		for place != dropped && int64(n)+size < int64(len(b)) { // as much as lies together
			next, nextPlace := d.find((at + size) / SectorSize)
			if next != from || nextPlace-place != ((at+size)/SectorSize-sector)*SectorSize {
				break
			}
			size += min(SectorSize, int64(len(b)-n)-size)
		}
		part := b[n : int64(n)+size]
		if place == dropped {
			clear(part)
		} else if _, err := from.ReadAt(part, place+within); err != nil {
			return n, fmt.Errorf("disk after a power cut, %d bytes at %d: %w", size, at, err)
		}
		n, at = n+int(size), at+size
	}
	return n, nil
}

// find says where the bytes of a sector are.
func (d *Disk) find(sector int64) (from io.ReaderAt, place int64) {
	place, ok := d.late[sector]
	if !ok {
		place, ok = d.flushed[sector]
	}
	if !ok {
		return d.replay.before, sector * SectorSize
	}
	return d.replay.log.r, place
}

// WriteChanges writes all that the log changed to a copy of the disk as it was before.
func (d *Disk) WriteChanges(w io.WriterAt) error {
	b := make([]byte, SectorSize)
	changed := maps.Clone(d.flushed)
	maps.Copy(changed, d.late)
	for sector := range changed {
		if _, err := d.ReadAt(b, sector*SectorSize); err != nil {
			return err
		}
		if _, err := w.WriteAt(b, sector*SectorSize); err != nil {
			return fmt.Errorf("disk after a power cut: write sector %d: %w", sector, err)
		}
	}
	return nil
}
