// Writing squashfs 4.0 with zlib, the only compressor that gokrazy's Pi kernel
// and Debian's armmp kernel share with Go's standard library. Everything belongs
// to root and has no time. Layout of the file:
//
//	superblock, data blocks, inodes, folders, ids
//
// Spec: Linux fs/squashfs/squashfs_fs.h.

package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/bits"
	"path"
)

const (
	sqfsMagic      = 0x73717368
	sqfsSuperSize  = 96
	sqfsZlib       = 1
	sqfsBlockSize  = 128 << 10
	sqfsMetaSize   = 8 << 10
	sqfsMetaRaw    = 1 << 15 // in a metadata block's header: not compressed
	sqfsDataRaw    = 1 << 24 // in a data block's size: not compressed
	sqfsNone       = 1<<64 - 1
	sqfsNoFragment = 1<<32 - 1

	sqfsNoFragments = 0x10 // superblock flags
	sqfsNoXattrs    = 0x200

	sqfsFolder  = 1 // types of inodes
	sqfsFile    = 2
	sqfsSymlink = 3

	sqfsHeaderEntries = 256 // folder entries under one header
)

// SquashFS gives the bytes of a file system that holds the entries: plain files,
// folders and symbolic links, owned by root. It keeps all of it in memory.
func SquashFS(entries []Entry) ([]byte, error) {
	sorted, err := arrangeEntries(entries)
	if err != nil {
		return nil, fmt.Errorf("squashfs: %w", err)
	}
	if len(sorted) > maxNodes {
		return nil, fmt.Errorf("squashfs: %d entries, can hold %d", len(sorted), maxNodes)
	}
	w := &sqfsWriter{count: uint32(len(sorted) + 1)}
	w.out.Write(make([]byte, sqfsSuperSize))
	root, err := w.writeFolder(Entry{Path: ".", Mode: folderMode}, sorted, w.count+1)
	if err != nil {
		return nil, fmt.Errorf("squashfs: %w", err)
	}
	return w.assembleFile(root), nil
}

type sqfsWriter struct {
	out     bytes.Buffer // superblock and data blocks, at the end all of it
	inodes  sqfsMeta
	folders sqfsMeta
	number  uint32 // of the inode written last
	count   uint32 // inodes in all
}

// sqfsChild is what a folder says about one of its entries.
type sqfsChild struct {
	name   string
	kind   uint16
	number uint32
	ref    uint64 // of the inode: metadata block << 16 | offset in it
}

// writeFolder writes what is in e and then e itself: an inode can only be named once
// its place is known. The numbers are given out on the way down, because a child
// must know its parent's.
func (w *sqfsWriter) writeFolder(e Entry, sorted []Entry, parent uint32) (sqfsChild, error) {
	w.number++
	own := w.number
	var children []sqfsChild
	links := uint32(2)
	for _, c := range sorted {
		if path.Dir(c.Path) != e.Path || c.Path == e.Path {
			continue
		}
		child, err := w.writeEntry(c, sorted, own)
		if err != nil {
			return sqfsChild{}, fmt.Errorf("%s: %w", c.Path, err)
		}
		if child.kind == sqfsFolder {
			links++
		}
		children = append(children, child)
	}
	listing := w.folders.nextRef()
	size := w.writeListing(children)
	if size > 1<<16-1-3 {
		return sqfsChild{}, fmt.Errorf("%s: %d bytes of names, can hold %d", e.Path, size, 1<<16-1-3)
	}
	inode := sqfsInode(sqfsFolder, e.Mode, own)
	le := binary.LittleEndian
	inode = le.AppendUint32(inode, uint32(listing>>16))
	inode = le.AppendUint32(inode, links)
	inode = le.AppendUint16(inode, uint16(size+3)) // as if "." and ".." were in it
	inode = le.AppendUint16(inode, uint16(listing))
	inode = le.AppendUint32(inode, parent)
	return sqfsChild{path.Base(e.Path), sqfsFolder, own, w.inodes.appendRecord(inode)}, nil
}

func (w *sqfsWriter) writeEntry(e Entry, sorted []Entry, parent uint32) (sqfsChild, error) {
	if len(path.Base(e.Path)) > maxName {
		return sqfsChild{}, fmt.Errorf("name of %d bytes, can be %d", len(path.Base(e.Path)), maxName)
	}
	le := binary.LittleEndian
	switch e.Mode.Type() {
	case fs.ModeDir:
		return w.writeFolder(e, sorted, parent)
	case fs.ModeSymlink:
		w.number++
		inode := sqfsInode(sqfsSymlink, e.Mode, w.number)
		inode = le.AppendUint32(inode, 1)
		inode = le.AppendUint32(inode, uint32(len(e.Target)))
		inode = append(inode, e.Target...)
		return sqfsChild{path.Base(e.Path), sqfsSymlink, w.number, w.inodes.appendRecord(inode)}, nil
	case 0:
		w.number++
		inode := sqfsInode(sqfsFile, e.Mode, w.number)
		inode = le.AppendUint32(inode, uint32(w.out.Len()))
		inode = le.AppendUint32(inode, sqfsNoFragment)
		inode = le.AppendUint32(inode, 0)
		inode = le.AppendUint32(inode, uint32(len(e.Bytes)))
		for b := e.Bytes; len(b) > 0; b = b[min(len(b), sqfsBlockSize):] {
			inode = le.AppendUint32(inode, w.writeBlock(b[:min(len(b), sqfsBlockSize)]))
		}
		return sqfsChild{path.Base(e.Path), sqfsFile, w.number, w.inodes.appendRecord(inode)}, nil
	}
	return sqfsChild{}, fmt.Errorf("mode %v: only files, folders and links", e.Mode)
}

// writeBlock writes one block and gives its size as an inode says it.
func (w *sqfsWriter) writeBlock(block []byte) uint32 {
	packed := deflate(block)
	if len(packed) >= len(block) {
		w.out.Write(block)
		return uint32(len(block)) | sqfsDataRaw
	}
	w.out.Write(packed)
	return uint32(len(packed))
}

// writeListing writes a folder's entries, already sorted by name, and gives their size.
// One header covers entries whose inodes begin in the same metadata block.
func (w *sqfsWriter) writeListing(children []sqfsChild) int {
	le := binary.LittleEndian
	size := 0
	for len(children) > 0 {
		block, base := children[0].ref>>16, children[0].number
		n := 1
		for n < len(children) && n < sqfsHeaderEntries && children[n].ref>>16 == block {
			n++
		}
		run := le.AppendUint32(nil, uint32(n-1))
		run = le.AppendUint32(run, uint32(block))
		run = le.AppendUint32(run, base)
		for _, c := range children[:n] {
			run = le.AppendUint16(run, uint16(c.ref))
			run = le.AppendUint16(run, uint16(c.number-base)) // below 32,768: maxNodes
			run = le.AppendUint16(run, c.kind)
			run = le.AppendUint16(run, uint16(len(c.name)-1))
			run = append(run, c.name...)
		}
		w.folders.appendRecord(run)
		size += len(run)
		children = children[n:]
	}
	return size
}

// sqfsInode is the head that all inodes share: owner number 0, no time.
func sqfsInode(kind uint16, mode fs.FileMode, number uint32) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, kind)
	b = le.AppendUint16(b, unixBits(mode))
	b = append(b, make([]byte, 2+2+4)...) // uid, gid, time
	return le.AppendUint32(b, number)
}

func unixBits(mode fs.FileMode) uint16 {
	b := uint16(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		b |= 0o1000
	}
	return b
}

func (w *sqfsWriter) assembleFile(root sqfsChild) []byte {
	le := binary.LittleEndian
	inodesAt := uint64(w.out.Len())
	w.out.Write(w.inodes.packedTable())
	foldersAt := uint64(w.out.Len())
	w.out.Write(w.folders.packedTable())
	var ids sqfsMeta
	idsAt := uint64(w.out.Len())
	ids.appendRecord(make([]byte, 4)) // one owner: root
	w.out.Write(ids.packedTable())
	idIndexAt := uint64(w.out.Len())
	w.out.Write(le.AppendUint64(nil, idsAt))
	super := le.AppendUint32(nil, sqfsMagic)
	super = le.AppendUint32(super, w.count)
	super = le.AppendUint32(super, 0) // time
	super = le.AppendUint32(super, sqfsBlockSize)
	super = le.AppendUint32(super, 0) // fragments
	super = le.AppendUint16(super, sqfsZlib)
	super = le.AppendUint16(super, uint16(bits.TrailingZeros(sqfsBlockSize)))
	super = le.AppendUint16(super, sqfsNoFragments|sqfsNoXattrs)
	super = le.AppendUint16(super, 1) // owners
	super = le.AppendUint16(super, 4)
	super = le.AppendUint16(super, 0)
	for _, v := range []uint64{root.ref, uint64(w.out.Len()), idIndexAt, sqfsNone, inodesAt, foldersAt,
		sqfsNone, sqfsNone} {
		super = le.AppendUint64(super, v)
	}
	all := w.out.Bytes()
	copy(all, super)
	return all
}
