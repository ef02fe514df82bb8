// Reading a FAT16 file system that may be hostile or damaged: chains that loop,
// clusters outside, sizes that lie. Test: FuzzOpenFAT.

package disk

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

// A FAT is a FAT16 file system that was opened for reading.
type FAT struct {
	Tree
	Label    string
	VolumeID uint32
	reader   *fatReader
}

// fatReader holds the geometry and the whole FAT: at most 128 KiB.
type fatReader struct {
	r     io.ReaderAt
	g     fatGeometry
	fat   []byte
	nodes int
	used  int64 // clusters in all chains so far

	// folders are those of the root that are read, if damage elsewhere is passed over; nil: all are.
	folders []string

	reserved, tables int64 // sectors before the first table; how many tables there are
	rootAt           int64
	root             []byte // folder
}

// OpenFAT reads all folders of the FAT16 file system of size bytes in r.
func OpenFAT(r io.ReaderAt, size int64) (*FAT, error) { return openFAT(r, size, nil) }

// OpenFATFolders is OpenFAT for a file system of which parts may be damaged, as a power cut leaves
// them. It reads the root folder and of its folders those that are named; the others seem empty.
// A damaged file in the root folder is listed, but reading it is an error.
func OpenFATFolders(r io.ReaderAt, size int64, folders ...string) (*FAT, error) {
	return openFAT(r, size, append([]string{}, folders...))
}

func openFAT(r io.ReaderAt, size int64, folders []string) (*FAT, error) {
	b := make([]byte, SectorSize)
	if _, err := r.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("FAT16: read boot sector: %w", err)
	}
	f, rootAt, rootSize, err := fatGeometryOf(b, size)
	if err != nil {
		return nil, fmt.Errorf("FAT16: boot sector: %w", err)
	}
	f.r, f.folders = r, folders
	if _, err := r.ReadAt(f.fat, int64(binary.LittleEndian.Uint16(b[14:]))*SectorSize); err != nil {
		return nil, fmt.Errorf("FAT16: read table: %w", err)
	}
	f.rootAt, f.root = rootAt, make([]byte, rootSize)
	if _, err := r.ReadAt(f.root, rootAt); err != nil {
		return nil, fmt.Errorf("FAT16: read root folder: %w", err)
	}
	out := &FAT{Label: strings.TrimSpace(string(b[43:54])), VolumeID: binary.LittleEndian.Uint32(b[39:]), reader: f}
	out.root, out.anyCase = &node{name: ".", mode: folderMode}, true
	if err := f.readFolder(out.root, f.root, 0); err != nil {
		return nil, fmt.Errorf("FAT16: %w", err)
	}
	return out, nil
}

// fatGeometryOf trusts nothing in the boot sector that does not fit into size.
func fatGeometryOf(b []byte, size int64) (f *fatReader, rootAt, rootSize int64, err error) {
	le := binary.LittleEndian
	reserved, fats := int64(le.Uint16(b[14:])), int64(b[16])
	g := fatGeometry{sectors: int64(le.Uint16(b[19:])), perCluster: int64(b[13]), fatSectors: int64(le.Uint16(b[22:]))}
	if g.sectors == 0 {
		g.sectors = int64(le.Uint32(b[32:]))
	}
	rootSize = int64(le.Uint16(b[17:])) * fatDirent
	rootAt = (reserved + fats*g.fatSectors) * SectorSize
	g.firstData = rootAt/SectorSize + (rootSize+SectorSize-1)/SectorSize
	switch {
	case b[510] != 0x55 || b[511] != 0xaa || le.Uint16(b[11:]) != SectorSize:
		return nil, 0, 0, fmt.Errorf("no FAT with sectors of %d bytes: %w", SectorSize, ErrDamaged)
	case reserved < 1 || fats < 1 || fats > 2 || g.fatSectors < 1 || rootSize == 0:
		return nil, 0, 0, fmt.Errorf("%d reserved sectors, %d tables of %d sectors, %d bytes of root folder: %w",
			reserved, fats, g.fatSectors, rootSize, ErrDamaged)
	case g.perCluster == 0 || g.perCluster&(g.perCluster-1) != 0 || g.sectors > size/SectorSize ||
		g.firstData >= g.sectors:
		return nil, 0, 0, fmt.Errorf("%d sectors, %d a cluster, in %d bytes: %w", g.sectors, g.perCluster, size,
			ErrDamaged)
	}
	g.clusters = (g.sectors - g.firstData) / g.perCluster
	if g.clusters < fatMinClusters || g.clusters > fatMaxClusters || (g.clusters+2)*2 > g.fatSectors*SectorSize {
		return nil, 0, 0, fmt.Errorf("%d clusters with a table of %d sectors are not FAT16: %w",
			g.clusters, g.fatSectors, ErrDamaged)
	}
	f = &fatReader{g: g, fat: make([]byte, (g.clusters+2)*2), reserved: reserved, tables: fats}
	return f, rootAt, rootSize, nil
}

// followChain follows the FAT from first. A chain with more clusters than the limit
// loops or lies, and chains that together have more than there are share some:
// without that limit 20,000 names of one large file would take 6 GB of memory.
func (f *fatReader) followChain(first, limit int64) ([]int64, error) {
	var all []int64
	for c := first; c < 0xfff8; c = int64(binary.LittleEndian.Uint16(f.fat[2*c:])) {
		if c < 2 || c >= f.g.clusters+2 || int64(len(all)) >= limit {
			return nil, fmt.Errorf("cluster %d after %d clusters from %d on: %w", c, len(all), first, ErrDamaged)
		}
		all = append(all, c)
	}
	if f.used += int64(len(all)); f.used > f.g.clusters {
		return nil, fmt.Errorf("%d clusters used of %d: %w", f.used, f.g.clusters, ErrDamaged)
	}
	return all, nil
}

// A fatEntry is one name in a folder.
type fatEntry struct {
	name     string
	short    []byte // 32 bytes
	from, at int    // bytes from the folder's start to the first entry of the long name, and to short
}

// forEachEntry calls use for each name in the bytes of a folder: not for the deleted, for this folder
// and the one above, nor for the label. orphan, which may be nil, is called for each entry of a long
// name that no short one follows.
func forEachEntry(b []byte, use func(fatEntry) error, orphan func(at int)) error {
	var long []uint16
	var sum byte // that the long name's entries name, of the short one that it belongs to
	from := 0    // of the long name
	forget := func(to int) {
		for at := from; orphan != nil && at < to; at += fatDirent {
			orphan(at)
		}
		long = nil
	}
	at := 0
	for ; at+fatDirent <= len(b) && b[at] != 0; at += fatDirent {
		e := b[at : at+fatDirent]
		if e[0] != 0xe5 && e[11] == fatAttrLong {
			if e[0]&fatLongLast != 0 {
				forget(at)
				from = at
			}
			long, sum = fatLongPart(e, long), e[13]
			continue
		}
		// This folder and the one above, and the label, have no long names.
		if plain := e[0] != 0xe5 && e[0] != '.' && e[11]&fatAttrVolume == 0; !plain || sum != fatChecksum([11]byte(e)) {
			forget(at)
		}
		if e[0] != 0xe5 && e[0] != '.' && e[11]&fatAttrVolume == 0 {
			name := string(utf16.Decode(long))
			if name == "" {
				from, name = at, fatShortText(e)
			}
			if err := use(fatEntry{name, e, from, at}); err != nil {
				return err
			}
		}
		long, from = nil, at+fatDirent
	}
	forget(at)
	return nil
}

// readFolder fills n from the bytes of its entries.
func (f *fatReader) readFolder(n *node, b []byte, depth int) error {
	var children []*node
	err := forEachEntry(b, func(e fatEntry) error {
		if f.nodes++; f.nodes > maxNodes {
			return fmt.Errorf("more than %d entries: %w", maxNodes, ErrDamaged)
		}
		child, err := f.readEntry(e, depth)
		if err != nil && (f.folders == nil || depth > 0 || child.IsDir()) {
			return err
		}
		if err != nil {
			child.open = func() io.Reader { return errorReader{err} }
		}
		if depth == 0 {
			child.entryAt = f.rootAt + int64(e.at)
		}
		children = append(children, child)
		return nil
	}, nil)
	if err != nil {
		return err
	}
	return n.setChildren(children)
}

// fatLongPart puts the units of an entry before those that came so far.
func fatLongPart(e []byte, long []uint16) []uint16 {
	if e[0]&fatLongLast != 0 || len(long) > maxName {
		long = nil
	}
	var units []uint16
	for _, at := range fatLongAt {
		unit := binary.LittleEndian.Uint16(e[at:])
		if unit == 0 {
			break
		}
		units = append(units, unit)
	}
	return append(units, long...)
}

func (f *fatReader) readEntry(entry fatEntry, depth int) (*node, error) {
	e := entry.short
	n := &node{name: entry.name, mode: plainMode, modTime: fatTime(e)}
	first := int64(binary.LittleEndian.Uint16(e[26:]))
	if e[11]&fatAttrFolder == 0 {
		n.size = int64(binary.LittleEndian.Uint32(e[28:]))
		return n, f.prepareFile(n, first)
	}
	n.mode = folderMode
	if depth == 0 && f.folders != nil && !slices.ContainsFunc(f.folders, n.hasName) {
		return n, nil
	}
	if depth >= maxDepth {
		return n, fmt.Errorf("%s: more than %d folders deep: %w", n.name, maxDepth, ErrDamaged)
	}
	// 65,536 entries of 32 bytes is the most that FAT allows a folder.
	clusters, err := f.followChain(first, (65536*fatDirent)/f.g.clusterBytes()+1)
	if err != nil {
		return n, fmt.Errorf("folder %s: %w", n.name, err)
	}
	b := make([]byte, int64(len(clusters))*f.g.clusterBytes())
	for i, c := range clusters {
		cluster := b[int64(i)*f.g.clusterBytes():][:f.g.clusterBytes()]
		if _, err := f.r.ReadAt(cluster, f.g.clusterStart(c)); err != nil {
			return n, fmt.Errorf("folder %s: read cluster %d: %w", n.name, c, err)
		}
	}
	return n, f.readFolder(n, b, depth+1)
}

// hasName compares as findChild does.
func (n *node) hasName(name string) bool { return smallASCII(n.name) == smallASCII(name) }

// An errorReader is a file that cannot be read.
type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// prepareFile checks the chain of a file now, so that reading it later cannot run away.
func (f *fatReader) prepareFile(n *node, first int64) error {
	if n.size == 0 {
		n.open = func() io.Reader { return strings.NewReader("") }
		return nil
	}
	n.at = -1
	need := (n.size + f.g.clusterBytes() - 1) / f.g.clusterBytes()
	clusters, err := f.followChain(first, need)
	if err != nil {
		return fmt.Errorf("file %s: %w", n.name, err)
	}
	if int64(len(clusters)) != need {
		return fmt.Errorf("file %s: %d bytes in %d clusters: %w", n.name, n.size, len(clusters), ErrDamaged)
	}
	n.at, n.chain = f.g.clusterStart(clusters[0]), clusters
	for i, c := range clusters {
		if c != clusters[0]+int64(i) {
			n.at = -1
		}
	}
	n.open = func() io.Reader {
		if n.at >= 0 {
			return io.NewSectionReader(f.r, n.at, n.size)
		}
		parts := make([]io.Reader, len(clusters))
		for i, c := range clusters {
			parts[i] = io.NewSectionReader(f.r, f.g.clusterStart(c), f.g.clusterBytes())
		}
		return io.LimitReader(io.MultiReader(parts...), n.size)
	}
	return nil
}

// Extent gives where a file lies, in bytes from the start of the file system, for a change in place. A
// file that is empty or in several pieces is an error, an ErrDamaged.
func (f *FAT) Extent(name string) (at, size int64, err error) {
	n, err := f.findNode("extent", name)
	if err != nil {
		return 0, 0, err
	}
	if n.IsDir() || n.size == 0 || n.at < 0 {
		err := fmt.Errorf("it is empty, a folder or in several pieces: %w", ErrDamaged)
		return 0, 0, &fs.PathError{Op: "extent", Path: name, Err: err}
	}
	return n.at, n.size, nil
}

// fatShortText is the short name; letters of a codepage, which nothing names, become
// U+FFFD: an owner's ÜBER.TXT must not make the rest of a card unreadable.
func fatShortText(e []byte) string {
	base, ext := strings.TrimRight(string(e[0:8]), " "), strings.TrimRight(string(e[8:11]), " ")
	if e[12]&fatLowerBase != 0 {
		base = strings.ToLower(base)
	}
	if e[12]&fatLowerExt != 0 {
		ext = strings.ToLower(ext)
	}
	if ext != "" {
		base += "." + ext
	}
	return strings.ToValidUTF8(base, "\ufffd")
}

func fatTime(e []byte) time.Time {
	t, d := int(binary.LittleEndian.Uint16(e[22:])), int(binary.LittleEndian.Uint16(e[24:]))
	return time.Date(1980+d>>9, time.Month(d>>5&15), d&31, t>>11, t>>5&63, t&31*2, 0, time.UTC)
}
