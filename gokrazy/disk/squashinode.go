// What the inodes of a squashfs say: folders, plain files, links. The places in
// the file and the unpacking are in squashread.go.

package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"time"
)

func (s *sqfsReader) readInode(ref uint64, name string, depth int) (*node, error) {
	if s.nodes++; s.nodes > maxNodes || depth > maxDepth {
		return nil, fmt.Errorf("%s: entry %d, %d folders deep: %w", name, s.nodes, depth, ErrDamaged)
	}
	c, err := s.openMeta(s.inodesAt, ref, 16)
	if err != nil {
		return nil, fmt.Errorf("inode of %s: %w", name, err)
	}
	h, err := c.takeBytes(16)
	if err != nil {
		return nil, fmt.Errorf("inode of %s: %w", name, err)
	}
	le := binary.LittleEndian
	bits := le.Uint16(h[2:])
	n := &node{name: name, mode: fs.FileMode(bits & 0o777), modTime: time.Unix(int64(le.Uint32(h[8:])), 0).UTC()}
	if bits&0o1000 != 0 {
		n.mode |= fs.ModeSticky
	}
	switch kind := le.Uint16(h); kind {
	case sqfsFolder, sqfsFolderLong:
		n.mode |= fs.ModeDir
		err = s.readFolder(n, c, kind, depth)
	case sqfsFile, sqfsFileLong:
		err = s.readFile(n, c, kind)
	case sqfsSymlink, sqfsSymlinkLong:
		n.mode |= fs.ModeSymlink
		err = s.readSymlink(n, c)
	default:
		err = fmt.Errorf("inode of type %d: %w", kind, ErrDamaged)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return n, nil
}

func (s *sqfsReader) readSymlink(n *node, c *sqfsCursor) error {
	b, err := c.takeBytes(8)
	if err != nil {
		return err
	}
	size := binary.LittleEndian.Uint32(b[4:])
	if size > sqfsMaxTarget {
		return fmt.Errorf("link of %d bytes: %w", size, ErrDamaged)
	}
	target, err := c.takeBytes(int(size))
	n.target, n.size = string(target), int64(size)
	return err
}

func (s *sqfsReader) readFile(n *node, c *sqfsCursor, kind uint16) error {
	le := binary.LittleEndian
	length := 16
	if kind == sqfsFileLong {
		length = 40
	}
	b, err := c.takeBytes(length)
	if err != nil {
		return err
	}
	start, size, fragment := int64(le.Uint32(b)), int64(le.Uint32(b[12:])), le.Uint32(b[4:])
	if kind == sqfsFileLong {
		start, size, fragment = int64(le.Uint64(b)), int64(le.Uint64(b[8:])), le.Uint32(b[28:])
	}
	if size < 0 || size > sqfsMaxFile || fragment != sqfsNoFragment {
		return fmt.Errorf("file of %d bytes, fragment %#x: %w", size, fragment, ErrDamaged)
	}
	if s.allFileData += size; s.allFileData > sqfsMaxFile {
		return fmt.Errorf("files of more than %d bytes together: %w", int64(sqfsMaxFile), ErrDamaged)
	}
	sizes, err := c.takeBytes(int((size+s.blockSize-1)/s.blockSize) * 4)
	if err != nil {
		return err
	}
	n.size = size
	sizes = bytes.Clone(sizes) // else each of 20,000 files would keep a metadata block
	n.open = func() io.Reader { return &sqfsData{s: s, at: start, left: size, sizes: sizes} }
	return nil
}

// sqfsData unpacks the blocks of a file one after the other.
type sqfsData struct {
	s     *sqfsReader
	at    int64
	left  int64
	sizes []byte
	buf   []byte
}

func (d *sqfsData) Read(b []byte) (int, error) {
	if len(d.buf) == 0 {
		if d.left == 0 {
			return 0, io.EOF
		}
		if err := d.unpackNext(); err != nil {
			return 0, err
		}
	}
	n := copy(b, d.buf)
	d.buf = d.buf[n:]
	return n, nil
}

func (d *sqfsData) unpackNext() error {
	size := binary.LittleEndian.Uint32(d.sizes)
	want := min(d.left, d.s.blockSize)
	packed := int64(size &^ sqfsDataRaw)
	block := make([]byte, want) // size 0: a block of zeros
	if size != 0 {
		var err error
		if block, err = d.s.unpackBlock(d.at, packed, size&sqfsDataRaw != 0, d.s.blockSize); err != nil {
			return err
		}
	}
	if int64(len(block)) != want {
		return fmt.Errorf("data block at %d: %d bytes, want %d: %w", d.at, len(block), want, ErrDamaged)
	}
	d.sizes, d.at, d.left, d.buf = d.sizes[4:], d.at+packed, d.left-want, block
	return nil
}

func (s *sqfsReader) readFolder(n *node, c *sqfsCursor, kind uint16, depth int) error {
	le := binary.LittleEndian
	length := 16
	if kind == sqfsFolderLong {
		length = 24
	}
	b, err := c.takeBytes(length)
	if err != nil {
		return err
	}
	block, size, offset := le.Uint32(b), int(le.Uint16(b[8:])), le.Uint16(b[10:])
	if kind == sqfsFolderLong {
		block, size, offset = le.Uint32(b[8:]), int(le.Uint32(b[4:])), le.Uint16(b[18:])
	}
	if size -= 3; size <= 0 {
		return nil
	}
	if s.listBytes += size; size > sqfsMaxMeta || s.listBytes > sqfsMaxMeta {
		return fmt.Errorf("folders of %d bytes: %w", s.listBytes, ErrDamaged)
	}
	list, err := s.openMeta(s.foldersAt, uint64(block)<<16|uint64(offset), size)
	if err != nil {
		return err
	}
	entries, err := list.takeBytes(size)
	if err != nil {
		return err
	}
	return s.readEntries(n, entries, depth)
}

// readEntries reads runs of names, each under a header.
func (s *sqfsReader) readEntries(n *node, b []byte, depth int) error {
	le := binary.LittleEndian
	var children []*node
	for len(b) > 0 {
		if len(b) < 12 || le.Uint32(b) >= sqfsHeaderEntries {
			return fmt.Errorf("folder header: %w", ErrDamaged)
		}
		count, block := int(le.Uint32(b))+1, le.Uint32(b[4:])
		for b = b[12:]; count > 0; count-- {
			if len(b) < 8 || len(b) < 8+int(le.Uint16(b[6:]))+1 {
				return fmt.Errorf("folder entry: %w", ErrDamaged)
			}
			name := string(b[8 : 8+int(le.Uint16(b[6:]))+1])
			child, err := s.readInode(uint64(block)<<16|uint64(le.Uint16(b)), name, depth+1)
			if err != nil {
				return err
			}
			children = append(children, child)
			b = b[8+len(name):]
		}
	}
	return n.setChildren(children)
}
