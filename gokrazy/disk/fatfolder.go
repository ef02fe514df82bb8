// Replacing a whole folder of the root of a FAT16 file system, such that a power cut at any moment
// leaves the old folder, none, or the new one, and all else as it was:
//
//	Clear   the folder's entry goes, one sector; then the clusters that nothing uses any more
//	Stage   files and folders go into free clusters, then the table is written
//	Commit  the entry comes, one sector
//
// What is used is found out by following everything that the root folder leads to, so Clear also
// mends what cuts have left: lost clusters, chains of the folder that lead into each other, the mark
// of a file system that was not unmounted. Spec: FAT 1.03.

package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	fatBadCluster = 0xfff7
	// fatCleanBits of the table's second entry say that there was no error and a clean unmount.
	fatCleanBits = 0xc000
	// fatStateAt is a byte of the boot sector whose lowest bit Linux and Windows set while the file
	// system is mounted for writing.
	fatStateAt  = 0x25
	fatDirtyBit = 0x01
)

// A SyncDisk is a disk or a part of one. Sync returns once all that was written would outlive a
// power cut.
type SyncDisk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// How a cluster is used.
const (
	clusterFree  byte = iota
	clusterUsed       // by something that may be damaged
	clusterKept       // by a file or folder that must stay whole
	clusterTaken      // by what is being written
)

// A FolderEdit replaces one folder. It is for one Clear, one Stage and one Commit, in this order, and
// nobody else may write to the file system meanwhile. What it reads and writes are whole sectors.
type FolderEdit struct {
	rw     SyncDisk
	r      *fatReader
	name   string
	boot   []byte // sector
	table  []byte // all sectors of the FAT
	use    []byte // of each cluster
	found  []fatEntry
	orphan []int // places in the root folder of long names that belong to nothing
	nodes  int
	depth  int

	staged  map[string][]int64 // clusters of each file that was written
	newRoot []byte             // the root folder as Commit will leave it
}

// EditFolder looks at the file system in the first size bytes of rw and finds out what a folder of
// the root may be replaced in. The folder keep, if it is not empty, must be whole and share no
// cluster with anything, else it is an ErrDamaged: then nothing on this file system may be changed.
func EditFolder(rw SyncDisk, size int64, name, keep string) (*FolderEdit, error) {
	if short, ok := plainShort(name, ""); !ok || short.long != "" {
		return nil, fmt.Errorf("FAT16: folder %q: its name must be of one entry", name)
	}
	var folders []string
	if keep != "" {
		folders = append(folders, keep)
	}
	kept, err := OpenFATFolders(rw, size, folders...)
	if err != nil {
		return nil, err
	}
	if _, err := kept.findNode("stat", keep); keep != "" && err != nil {
		return nil, fmt.Errorf("FAT16: %w", err)
	}
	r := kept.reader
	e := &FolderEdit{
		rw: rw, r: r, name: name, boot: make([]byte, SectorSize),
		table: make([]byte, (int64(len(r.fat))+SectorSize-1)/SectorSize*SectorSize),
		use:   make([]byte, r.g.clusters+2),
	}
	if _, err := rw.ReadAt(e.boot, 0); err != nil {
		return nil, fmt.Errorf("FAT16: read boot sector: %w", err)
	}
	if _, err := rw.ReadAt(e.table, r.reserved*SectorSize); err != nil {
		return nil, fmt.Errorf("FAT16: read table: %w", err)
	}
	if err := e.markAll(keep); err != nil {
		return nil, fmt.Errorf("FAT16: %w", err)
	}
	return e, nil
}

// next gives what the table says of a cluster.
func (e *FolderEdit) next(cluster int64) int64 {
	return int64(binary.LittleEndian.Uint16(e.table[2*cluster:]))
}

func (e *FolderEdit) setNext(cluster, next int64) {
	binary.LittleEndian.PutUint16(e.table[2*cluster:], uint16(next))
}

// markAll marks what is used: the kept folder first, so that whatever else leads into it is found.
func (e *FolderEdit) markAll(keep string) error {
	var others []fatEntry
	err := forEachEntry(e.r.root, func(entry fatEntry) error {
		switch name := smallASCII(entry.name); name {
		case smallASCII(e.name):
			e.found = append(e.found, entry)
		case smallASCII(keep):
			return e.markEntry(entry, clusterKept)
		default:
			others = append(others, entry)
		}
		return nil
	}, func(at int) { e.orphan = append(e.orphan, at) })
	if err != nil {
		return err
	}
	for _, entry := range others {
		if err := e.markEntry(entry, clusterUsed); err != nil {
			return err
		}
	}
	return nil
}

// markEntry marks the clusters of a file, or of a folder and all that is in it.
func (e *FolderEdit) markEntry(entry fatEntry, use byte) error {
	if e.nodes++; e.nodes > maxNodes || e.depth > maxDepth {
		return fmt.Errorf("%d entries, %d folders deep: %w", e.nodes, e.depth, ErrDamaged)
	}
	chain, err := e.markChain(int64(binary.LittleEndian.Uint16(entry.short[26:])), use)
	if err != nil {
		return fmt.Errorf("%s: %w", entry.name, err)
	}
	if entry.short[11]&fatAttrFolder == 0 {
		return nil
	}
	b := make([]byte, int64(len(chain))*e.r.g.clusterBytes())
	for i, c := range chain {
		if _, err := e.rw.ReadAt(b[int64(i)*e.r.g.clusterBytes():][:e.r.g.clusterBytes()],
			e.r.g.clusterStart(c)); err != nil {
			return fmt.Errorf("folder %s: read cluster %d: %w", entry.name, c, err)
		}
	}
	e.depth++
	defer func() { e.depth-- }()
	return forEachEntry(b, func(child fatEntry) error { return e.markEntry(child, use) }, nil)
}

// markChain ends where a chain that may be damaged does not go on, and gives the clusters that no
// other chain had before. One that leads into a kept file, or a kept one that is shared, is an error.
func (e *FolderEdit) markChain(first int64, use byte) (chain []int64, err error) {
	for c := first; c >= 2 && c < e.r.g.clusters+2; c = e.next(c) {
		switch e.use[c] {
		case clusterFree:
			e.use[c] = use
			chain = append(chain, c)
			continue
		case clusterKept:
			return nil, fmt.Errorf("cluster %d belongs to something else, too: %w", c, ErrDamaged)
		}
		return chain, nil
	}
	return chain, nil
}

// freeClusters is how many a Write can have.
func (e *FolderEdit) freeClusters() (free int64) {
	for c := int64(2); c < e.r.g.clusters+2; c++ {
		if e.isFree(c) {
			free++
		}
	}
	return free
}

func (e *FolderEdit) isFree(cluster int64) bool {
	return e.use[cluster] == clusterFree && e.next(cluster) != fatBadCluster
}

// Clear removes the folder, or a file of that name, and frees what nothing uses. What is in order
// already is not written.
func (e *FolderEdit) Clear() error {
	root := bytes.Clone(e.r.root)
	for _, entry := range e.found {
		for at := entry.from; at <= entry.at; at += fatDirent {
			root[at] = 0xe5
		}
	}
	for _, at := range e.orphan {
		root[at] = 0xe5
	}
	if err := e.writeChanged(e.r.root, root, e.r.rootAt); err != nil {
		return fmt.Errorf("FAT16: remove folder %s: %w", e.name, err)
	}
	e.r.root, e.found, e.orphan = root, nil, nil
	before := bytes.Clone(e.table)
	for c := int64(2); c < e.r.g.clusters+2; c++ {
		if e.isFree(c) {
			e.setNext(c, 0)
		}
	}
	e.setNext(1, e.next(1)|fatCleanBits)
	if err := e.writeTable(before); err != nil {
		return fmt.Errorf("FAT16: free the clusters of %s: %w", e.name, err)
	}
	boot := bytes.Clone(e.boot)
	boot[fatStateAt] &^= fatDirtyBit
	if err := e.writeChanged(e.boot, boot, 0); err != nil {
		return fmt.Errorf("FAT16: mark as clean: %w", err)
	}
	e.boot = boot
	return nil
}

// writeTable writes what has changed of the table, to each copy of it, and flushes.
func (e *FolderEdit) writeTable(before []byte) error {
	for i := range e.r.tables {
		if err := e.writeChanged(before, e.table, (e.r.reserved+i*e.r.g.fatSectors)*SectorSize); err != nil {
			return err
		}
	}
	return nil
}

// writeChanged writes the sectors that differ, those in a row at once, and flushes if there are any.
func (e *FolderEdit) writeChanged(before, after []byte, at int64) error {
	changed := func(i int) bool {
		end := min(i+SectorSize, len(after))
		return !bytes.Equal(before[i:end], after[i:end])
	}
	wrote := false
	for i := 0; i < len(after); i += SectorSize {
		if !changed(i) {
			continue
		}
		end := i + SectorSize
		for end < len(after) && changed(end) {
			end += SectorSize
		}
		end = min(end, len(after))
		if _, err := e.rw.WriteAt(after[i:end], at+int64(i)); err != nil {
			return err
		}
		wrote, i = true, end-SectorSize
	}
	if !wrote {
		return nil
	}
	return e.rw.Sync()
}
