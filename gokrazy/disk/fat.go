// Writing a FAT16 file system with exactly one FAT: gokrazy's reader on the
// board ignores how many there are. Every file is contiguous, so that a program
// can change a file of fixed size in place. Spec: Microsoft FAT 1.03.

package disk

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

const (
	fatReserved    = 1   // sectors before the FAT
	fatRootEntries = 512 // the usual number; 16 KiB
	fatDirent      = 32
	fatRootSectors = fatRootEntries * fatDirent / SectorSize

	// Below and above these counts of clusters a driver takes the file system for
	// FAT12 or FAT32 (FAT 1.03, "FAT Type Determination").
	fatMinClusters = 4085
	fatMaxClusters = 65524

	fatEndOfChain  = 0xffff
	fatMediaFixed  = 0xf8
	fatAttrVolume  = 0x08
	fatAttrFolder  = 0x10
	fatAttrArchive = 0x20
	fatAttrLong    = 0x0f

	// 1980-01-01 00:00, the first date FAT can say: files have no time.
	fatNoDate = 0<<9 | 1<<5 | 1
)

// FATOptions is what a FAT file system has beside its files.
type FATOptions struct {
	Size     int64  // of the partition, whole sectors
	Hidden   int64  // bytes before the partition
	VolumeID uint32 // fixed, else two builds differ
	Label    string // up to 11 capital letters
}

// fatGeometry is where the parts of a file system lie, in sectors.
type fatGeometry struct {
	sectors    int64
	perCluster int64
	fatSectors int64
	firstData  int64
	clusters   int64
}

func (g fatGeometry) clusterBytes() int64 { return g.perCluster * SectorSize }

// clusterStart of a cluster in bytes; the first one is number 2.
func (g fatGeometry) clusterStart(cluster int64) int64 {
	return (g.firstData + (cluster-2)*g.perCluster) * SectorSize
}

// fatLayout takes the smallest cluster with which the size is still FAT16.
func fatLayout(size int64) (fatGeometry, error) {
	for perCluster := int64(1); perCluster <= 64; perCluster *= 2 {
		g := fatGeometry{sectors: size / SectorSize, perCluster: perCluster}
		// Two bytes for each cluster and for the two numbers before the first.
		g.fatSectors = ((g.sectors/perCluster+2)*2 + SectorSize - 1) / SectorSize
		g.firstData = fatReserved + g.fatSectors + fatRootSectors
		g.clusters = (g.sectors - g.firstData) / perCluster
		if g.clusters <= fatMaxClusters && g.clusters >= fatMinClusters {
			return g, nil
		}
	}
	return fatGeometry{}, fmt.Errorf("%d bytes cannot be FAT16: 2.1 MB to 2 GB can", size)
}

// A fatWriter hands out clusters in rising order.
type fatWriter struct {
	w    io.WriterAt
	g    fatGeometry
	next int64
	fat  []byte
}

// WriteFAT writes a FAT16 file system to w, whose first o.Size bytes must be
// zero (a new file). Entries are plain files and folders; their order on disk is
// the order of their paths. Access bits are not kept: FAT has none.
func WriteFAT(w io.WriterAt, o FATOptions, entries []Entry) error {
	sorted, err := arrangeEntries(entries)
	if err != nil {
		return fmt.Errorf("FAT16: %w", err)
	}
	g, err := fatLayout(o.Size)
	if err != nil {
		return fmt.Errorf("FAT16: %w", err)
	}
	f := &fatWriter{w: w, g: g, next: 2, fat: make([]byte, g.fatSectors*SectorSize)}
	binary.LittleEndian.PutUint16(f.fat[0:], 0xff00|fatMediaFixed)
	binary.LittleEndian.PutUint16(f.fat[2:], fatEndOfChain)
	root, err := f.writeFolder(".", sorted, 0, 0)
	if err != nil {
		return fmt.Errorf("FAT16: %w", err)
	}
	label := make([]byte, fatDirent)
	copy(label, fmt.Sprintf("%-11.11s", o.Label))
	label[11] = fatAttrVolume
	binary.LittleEndian.PutUint16(label[24:], fatNoDate)
	root = append(label, root...)
	if len(root) > fatRootEntries*fatDirent {
		return fmt.Errorf("FAT16: root folder needs %d entries, can hold %d", len(root)/fatDirent, fatRootEntries)
	}
	for _, part := range []struct {
		sector int64
		bytes  []byte
	}{{0, fatBootSector(o, g)}, {fatReserved, f.fat}, {fatReserved + g.fatSectors, root}} {
		if _, err := w.WriteAt(part.bytes, part.sector*SectorSize); err != nil {
			return fmt.Errorf("FAT16: write sector %d: %w", part.sector, err)
		}
	}
	return nil
}

// writeFolder writes everything below dir and gives the folder's own entries. Own and
// parent are the first clusters for "." and ".."; the root has neither.
func (f *fatWriter) writeFolder(dir string, sorted []Entry, own, parent int64) ([]byte, error) {
	var out []byte
	if dir != "." {
		out = append(out, fatShortEntry(fatName{short: [11]byte([]byte(".          "))}, fatAttrFolder, own, 0)...)
		out = append(out, fatShortEntry(fatName{short: [11]byte([]byte("..         "))}, fatAttrFolder, parent, 0)...)
	}
	taken := map[[11]byte]bool{}
	for _, e := range sorted {
		if path.Dir(e.Path) != dir {
			continue
		}
		name, err := newFATName(path.Base(e.Path), taken)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		attr, size := byte(fatAttrArchive), len(e.Bytes)
		var first int64
		switch e.Mode.Type() {
		case 0:
			first, err = f.writeFile(e.Bytes)
		case fs.ModeDir:
			attr, size = fatAttrFolder, 0
			first, err = f.writeSubfolder(e.Path, sorted, own)
		default:
			err = fmt.Errorf("mode %v: FAT holds only files and folders", e.Mode)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		out = append(out, fatLongEntries(name)...)
		out = append(out, fatShortEntry(name, attr, first, size)...)
	}
	return out, nil
}

// writeSubfolder reserves the folder's clusters before those of what is in it: its
// children must name it as "..".
func (f *fatWriter) writeSubfolder(dir string, sorted []Entry, parent int64) (int64, error) {
	entries := int64(2)
	for _, e := range sorted {
		if path.Dir(e.Path) == dir {
			entries += 1 + (int64(len(utf16Units(path.Base(e.Path))))+fatLongUnits-1)/fatLongUnits
		}
	}
	own, err := f.reserveClusters(entries * fatDirent)
	if err != nil {
		return 0, err
	}
	out, err := f.writeFolder(dir, sorted, own, parent)
	if err != nil {
		return 0, err
	}
	_, err = f.w.WriteAt(out, f.g.clusterStart(own))
	return own, err
}

func (f *fatWriter) writeFile(b []byte) (int64, error) {
	if len(b) == 0 {
		return 0, nil // an empty file has no cluster
	}
	first, err := f.reserveClusters(int64(len(b)))
	if err != nil {
		return 0, err
	}
	_, err = f.w.WriteAt(b, f.g.clusterStart(first))
	return first, err
}

// reserveClusters chains the next clusters for size bytes and gives the first.
func (f *fatWriter) reserveClusters(size int64) (int64, error) {
	count := (size + f.g.clusterBytes() - 1) / f.g.clusterBytes()
	first := f.next
	if free := f.g.clusters + 2 - first; count > free {
		return 0, fmt.Errorf("%d bytes do not fit: %d bytes are free", size, free*f.g.clusterBytes())
	}
	for c := first; c < first+count; c++ {
		binary.LittleEndian.PutUint16(f.fat[2*c:], uint16(c+1))
	}
	f.next += count
	binary.LittleEndian.PutUint16(f.fat[2*(f.next-1):], fatEndOfChain)
	return first, nil
}

func fatBootSector(o FATOptions, g fatGeometry) []byte {
	b := make([]byte, SectorSize)
	le := binary.LittleEndian
	copy(b, "\xeb\x3c\x90MSWIN4.1") // the name FAT 1.03 recommends
	le.PutUint16(b[11:], SectorSize)
	b[13] = byte(g.perCluster)
	le.PutUint16(b[14:], fatReserved)
	b[16] = 1 // FATs
	le.PutUint16(b[17:], fatRootEntries)
	if g.sectors < 1<<16 {
		le.PutUint16(b[19:], uint16(g.sectors))
	} else {
		le.PutUint32(b[32:], uint32(g.sectors))
	}
	b[21] = fatMediaFixed
	le.PutUint16(b[22:], uint16(g.fatSectors))
	le.PutUint16(b[24:], 63)  // sectors a track, never used
	le.PutUint16(b[26:], 255) // heads, never used
	le.PutUint32(b[28:], uint32(o.Hidden/SectorSize))
	b[36] = 0x80
	b[38] = 0x29 // the next three fields are there
	le.PutUint32(b[39:], o.VolumeID)
	copy(b[43:], fmt.Sprintf("%-11.11s", strings.ToUpper(o.Label)))
	copy(b[54:], "FAT16   ")
	b[510], b[511] = 0x55, 0xaa
	return b
}
