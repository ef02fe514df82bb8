// Replacing one file in the root folder of a FAT16 file system that is there: an owner's seed may
// be shorter than the placeholder, in pieces, or gone. Nothing else on the file system moves.

package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ErrFull means that a file system has no room for a file.
var ErrFull = errors.New("no room on the file system")

// CanReplace says whether Replace has room for a file of size bytes in the root folder.
func (f *FAT) CanReplace(name string, size int64) error {
	_, err := f.planReplace(name, size)
	return err
}

// Replace puts b, which has a byte at least, in the place of what the file name in the root folder
// holds, or makes the file. w is what f was opened from; f itself is of no use afterwards. The
// bytes come first, then the table, then the folder's entry.
func (f *FAT) Replace(w io.WriterAt, name string, b []byte) error {
	p, err := f.planReplace(name, int64(len(b)))
	if err != nil {
		return err
	}
	cluster := f.reader.g.clusterBytes()
	for i, c := range p.chain {
		part := b[int64(i)*cluster : min(int64(i+1)*cluster, int64(len(b)))]
		if _, err := w.WriteAt(part, f.reader.g.clusterStart(c)); err != nil {
			return fmt.Errorf("%s: write cluster %d: %w", name, c, err)
		}
	}
	if !bytes.Equal(p.fat, f.reader.fat) {
		for i := range f.reader.tables {
			at := (f.reader.reserved + i*f.reader.g.fatSectors) * SectorSize
			if _, err := w.WriteAt(p.fat, at); err != nil {
				return fmt.Errorf("%s: write table %d: %w", name, i+1, err)
			}
		}
	}
	if _, err := w.WriteAt(p.entry, p.entryAt); err != nil {
		return fmt.Errorf("%s: write the folder's entry: %w", name, err)
	}
	return nil
}

// A fatPlan is what Replace writes.
type fatPlan struct {
	chain   []int64 // of the file, from then on
	fat     []byte
	entry   []byte // in the root folder, with a long name before it if the file is new
	entryAt int64  // in the file system
}

func (f *FAT) planReplace(name string, size int64) (*fatPlan, error) {
	r := f.reader
	p := &fatPlan{fat: bytes.Clone(r.fat)}
	n, err := f.findNode("replace", name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := p.newEntry(r, name); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case n.IsDir():
		return nil, &fs.PathError{Op: "replace", Path: name, Err: errors.New("is a folder")}
	default:
		at := n.entryAt - r.rootAt
		p.entry, p.entryAt, p.chain = bytes.Clone(r.root[at:at+fatDirent]), n.entryAt, n.chain
	}
	need := (size + r.g.clusterBytes() - 1) / r.g.clusterBytes()
	if err := p.fitChain(r.g, need); err != nil {
		return nil, fmt.Errorf("%s of %d bytes: %w", name, size, err)
	}
	short := p.entry[len(p.entry)-fatDirent:]
	binary.LittleEndian.PutUint16(short[26:], uint16(p.chain[0]))
	binary.LittleEndian.PutUint32(short[28:], uint32(size))
	return p, nil
}

// fitChain gives clusters back, or takes free ones, until the chain has as many as are needed.
func (p *fatPlan) fitChain(g fatGeometry, need int64) error {
	set := func(c, next int64) { binary.LittleEndian.PutUint16(p.fat[2*c:], uint16(next)) }
	chain := append([]int64(nil), p.chain...)
	for int64(len(chain)) > need {
		set(chain[len(chain)-1], 0)
		chain = chain[:len(chain)-1]
	}
	for c := int64(2); c < g.clusters+2 && int64(len(chain)) < need; c++ {
		if binary.LittleEndian.Uint16(p.fat[2*c:]) == 0 {
			chain = append(chain, c)
		}
	}
	if int64(len(chain)) < need || need == 0 {
		return ErrFull
	}
	for i, c := range chain[:len(chain)-1] {
		set(c, chain[i+1])
	}
	set(chain[len(chain)-1], fatEndOfChain)
	p.chain = chain
	return nil
}

// newEntry finds room in the root folder for the entries of a new file.
func (p *fatPlan) newEntry(r *fatReader, name string) error {
	taken := map[[11]byte]bool{}
	for e := range entriesOf(r.root) {
		taken[[11]byte(r.root[e:e+11])] = true
	}
	n, err := newFATName(name, taken)
	if err != nil {
		return err
	}
	p.entry = append(fatLongEntries(n), fatShortEntry(n, fatAttrArchive, 0, 0)...)
	free, end := 0, false
	for at := 0; at+fatDirent <= len(r.root); at += fatDirent {
		end = end || r.root[at] == 0 // what lies behind the end is free, whatever it says
		if free += fatDirent; !end && r.root[at] != 0xe5 {
			free = 0
		}
		if free < len(p.entry) {
			continue
		}
		p.entryAt = r.rootAt + int64(at+fatDirent-len(p.entry))
		if next := at + fatDirent; end && next < len(r.root) && r.root[next] != 0 {
			return fmt.Errorf("root folder: bytes behind its end: %w", ErrDamaged)
		}
		return nil
	}
	return fmt.Errorf("root folder: %w", ErrFull)
}

// entriesOf gives the places of the entries that are in use.
func entriesOf(folder []byte) func(func(int) bool) {
	return func(yield func(int) bool) {
		for at := 0; at+fatDirent <= len(folder) && folder[at] != 0; at += fatDirent {
			if folder[at] != 0xe5 && !yield(at) {
				return
			}
		}
	}
}
