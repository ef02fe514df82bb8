// Reading squashfs 4.0 with zlib, from an image that may be hostile: references
// outside, folders that contain themselves, blocks that unpack to more than they
// may. Test: FuzzOpenSquashFS.

package disk

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
)

// Limits for a reader: metadata of a root of ours is below 100 KiB.
const (
	sqfsMaxMeta     = 16 << 20
	sqfsMaxBlock    = 1 << 20
	sqfsMaxFile     = 1 << 30
	sqfsMaxTarget   = 4096
	sqfsFolderLong  = 8 // inodes with more fields than we write, read all the same
	sqfsFileLong    = 9
	sqfsSymlinkLong = 10
)

// A SquashFSTree is a squashfs that was opened for reading.
type SquashFSTree struct {
	Tree
	Used int64 // bytes that the file system takes of its partition
}

type sqfsReader struct {
	r           io.ReaderAt
	used        int64
	blockSize   int64
	inodesAt    int64
	inodes      map[int64]sqfsBlock // metadata blocks already unpacked, by offset
	foldersAt   int64
	nodes       int
	metaBytes   int
	listBytes   int // of all folders: each level of them keeps its own
	allFileData int64
}

type sqfsBlock struct {
	bytes []byte
	next  int64 // where the block after it begins
}

// OpenSquashFS reads all inodes of the file system in the first size bytes of r.
func OpenSquashFS(r io.ReaderAt, size int64) (*SquashFSTree, error) {
	b := make([]byte, sqfsSuperSize)
	if _, err := r.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("squashfs: read superblock: %w", err)
	}
	le := binary.LittleEndian
	s := &sqfsReader{
		r: r, used: int64(le.Uint64(b[40:])), blockSize: int64(le.Uint32(b[12:])),
		inodesAt: int64(le.Uint64(b[64:])), foldersAt: int64(le.Uint64(b[72:])),
		inodes: map[int64]sqfsBlock{},
	}
	switch {
	case le.Uint32(b) != sqfsMagic || le.Uint16(b[28:]) != 4:
		return nil, fmt.Errorf("squashfs: no superblock of version 4: %w", ErrDamaged)
	case le.Uint16(b[20:]) != sqfsZlib:
		return nil, fmt.Errorf("squashfs: compressor %d, want %d for zlib: %w", le.Uint16(b[20:]), sqfsZlib, ErrDamaged)
	case s.used < sqfsSuperSize || s.used > size:
		return nil, fmt.Errorf("squashfs: %d bytes in a partition of %d: %w", s.used, size, ErrDamaged)
	case s.blockSize < 4096 || s.blockSize > sqfsMaxBlock:
		return nil, fmt.Errorf("squashfs: blocks of %d bytes: %w", s.blockSize, ErrDamaged)
	case s.inodesAt < sqfsSuperSize || s.inodesAt > s.used || s.foldersAt < s.inodesAt || s.foldersAt > s.used:
		return nil, fmt.Errorf("squashfs: inodes at %d, folders at %d: %w", s.inodesAt, s.foldersAt, ErrDamaged)
	}
	root, err := s.readInode(le.Uint64(b[32:]), ".", 0)
	if err != nil {
		return nil, fmt.Errorf("squashfs: %w", err)
	}
	if !root.IsDir() {
		return nil, fmt.Errorf("squashfs: root is no folder: %w", ErrDamaged)
	}
	return &SquashFSTree{Tree: Tree{root: root}, Used: s.used}, nil
}

// openMeta reads n bytes from a table of packed blocks, from a reference on.
func (s *sqfsReader) openMeta(table int64, ref uint64, n int) (*sqfsCursor, error) {
	c := &sqfsCursor{s: s, at: table + int64(ref>>16&0xffffffff), skip: int(ref & 0xffff)}
	return c, c.unpackUpTo(n)
}

// metaBlock unpacks the metadata block at an offset of the file system, once.
func (s *sqfsReader) metaBlock(at int64) (sqfsBlock, error) {
	if b, ok := s.inodes[at]; ok {
		return b, nil
	}
	head := make([]byte, 2)
	if at < sqfsSuperSize || at > s.used-2 {
		return sqfsBlock{}, fmt.Errorf("metadata block at %d: %w", at, ErrDamaged)
	}
	if _, err := s.r.ReadAt(head, at); err != nil {
		return sqfsBlock{}, fmt.Errorf("read metadata block at %d: %w", at, err)
	}
	size := int64(binary.LittleEndian.Uint16(head))
	raw := size&sqfsMetaRaw != 0
	size &^= sqfsMetaRaw
	b, err := s.unpackBlock(at+2, size, raw, sqfsMetaSize)
	if err != nil {
		return sqfsBlock{}, fmt.Errorf("metadata block at %d: %w", at, err)
	}
	if s.metaBytes += len(b); len(b) == 0 || s.metaBytes > sqfsMaxMeta {
		return sqfsBlock{}, fmt.Errorf("%d bytes of metadata: %w", s.metaBytes, ErrDamaged)
	}
	s.inodes[at] = sqfsBlock{b, at + 2 + size}
	return s.inodes[at], nil
}

// unpackBlock reads size bytes at an offset; unpacked they may be at most limit bytes.
func (s *sqfsReader) unpackBlock(at, size int64, raw bool, limit int64) ([]byte, error) {
	if size > limit || at < 0 || at > s.used-size {
		return nil, fmt.Errorf("%d bytes at %d: %w", size, at, ErrDamaged)
	}
	packed := make([]byte, size)
	if _, err := s.r.ReadAt(packed, at); err != nil {
		return nil, fmt.Errorf("read %d bytes at %d: %w", size, at, err)
	}
	if raw {
		return packed, nil
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	b, err := io.ReadAll(io.LimitReader(z, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("unpacks to more than %d bytes: %w", limit, ErrDamaged)
	}
	return b, nil
}

// sqfsCursor reads on across metadata blocks.
type sqfsCursor struct {
	s    *sqfsReader
	at   int64
	skip int
	buf  []byte
}

// unpackUpTo makes sure that n more bytes are in buf.
func (c *sqfsCursor) unpackUpTo(n int) error {
	for len(c.buf) < n {
		b, err := c.s.metaBlock(c.at)
		if err != nil {
			return err
		}
		if c.skip > len(b.bytes) {
			return fmt.Errorf("offset %d in a metadata block of %d bytes: %w", c.skip, len(b.bytes), ErrDamaged)
		}
		c.buf = append(c.buf, b.bytes[c.skip:]...)
		c.skip, c.at = 0, b.next
	}
	return nil
}

// takeBytes gives the next n bytes.
func (c *sqfsCursor) takeBytes(n int) ([]byte, error) {
	if err := c.unpackUpTo(n); err != nil {
		return nil, err
	}
	b := c.buf[:n]
	c.buf = c.buf[n:]
	return b, nil
}
