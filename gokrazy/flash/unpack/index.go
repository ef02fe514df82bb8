// The frame of an .xz file: header, index, footer, and what its blocks' headers say of memory. The index
// stands at the end and says where each block begins and what it unpacks to.
// Source: the .xz file format 1.2.1, sections 2.1, 3.1 and 4.

package unpack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	headerMagic = "\xfd7zXZ\x00"
	footerMagic = "YZ"
	frameSize   = 12 // of header and footer each
	// maxIndex allows 100,000 blocks, of which an image has 50.
	maxIndex = 1 << 20
	// maxBlockHeader is the format's own.
	maxBlockHeader = 1024
)

var errFrame = errors.New("wrong frame")

// A block is a part of the file that is unpacked by itself.
type block struct {
	at, packed    int64 // in the file, padding included
	plainAt, size int64 // in the image
	unpadded      int64
}

type index struct {
	header []byte // of the stream
	blocks []block
	total  int64 // bytes of the image
}

// readIndex reads the frame and looks at each block's header: nothing is unpacked.
func readIndex(r io.ReaderAt, size, limit int64) (index, error) {
	var x index
	text, blocksEnd, err := x.readFrame(r, size)
	if err != nil {
		return index{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if x.header[7]&0x0f == 0 { // kind of checksum
		return index{}, ErrNoSum
	}
	if err := x.parse(text, blocksEnd, limit); err != nil {
		if errors.Is(err, ErrTooLarge) {
			return index{}, err
		}
		return index{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	for _, b := range x.blocks {
		dictionary, err := dictionarySize(r, b)
		if err != nil {
			return index{}, fmt.Errorf("%w: block at %d: %w", ErrDamaged, b.at, err)
		}
		if dictionary > maxDictionary {
			return index{}, fmt.Errorf("%w: a dictionary of %d MiB, at most %d: pack it with xz -9 or less",
				ErrMemory, dictionary>>20, maxDictionary>>20)
		}
	}
	return x, nil
}

// readFrame gives the index as it stands in the file, and where it begins.
func (x *index) readFrame(r io.ReaderAt, size int64) (text []byte, at int64, err error) {
	if size < 2*frameSize+8 || size%4 != 0 {
		return nil, 0, fmt.Errorf("%w: %d bytes", errFrame, size)
	}
	x.header = make([]byte, frameSize)
	footer := make([]byte, frameSize)
	if _, err := r.ReadAt(x.header, 0); err != nil {
		return nil, 0, err
	}
	if _, err := r.ReadAt(footer, size-frameSize); err != nil {
		return nil, 0, err
	}
	flags := x.header[6:8]
	if string(x.header[:6]) != headerMagic || !sumIs(x.header[8:], flags) {
		return nil, 0, fmt.Errorf("%w: header", errFrame)
	}
	if string(footer[10:]) != footerMagic || !sumIs(footer, footer[4:10]) || !bytes.Equal(footer[8:10], flags) {
		return nil, 0, fmt.Errorf("%w: footer", errFrame)
	}
	length := (int64(binary.LittleEndian.Uint32(footer[4:])) + 1) * 4
	if length > maxIndex || length > size-2*frameSize {
		return nil, 0, fmt.Errorf("%w: index of %d bytes", errFrame, length)
	}
	text = make([]byte, length)
	at = size - frameSize - length
	_, err = r.ReadAt(text, at)
	return text, at, err
}

// parse reads the index, whose blocks lie between the header and end.
func (x *index) parse(text []byte, end, limit int64) error {
	body := text[:len(text)-4]
	if !sumIs(text[len(text)-4:], body) || body[0] != 0 {
		return fmt.Errorf("%w: index", errFrame)
	}
	rest := body[1:]
	count, rest, err := number(rest)
	if err != nil || count > int64(len(rest)) { // two bytes a block, at least
		return fmt.Errorf("%w: index of %d blocks", errFrame, count)
	}
	at := int64(frameSize)
	for range count {
		b := block{at: at, plainAt: x.total}
		if b.unpadded, rest, err = number(rest); err != nil {
			return err
		}
		if b.size, rest, err = number(rest); err != nil {
			return err
		}
		if b.unpadded < 5 || b.unpadded > end-at {
			return fmt.Errorf("%w: block of %d bytes at %d", errFrame, b.unpadded, at)
		}
		if b.size > limit-x.total {
			return fmt.Errorf("%w: %d bytes or more, at most %d", ErrTooLarge, b.size, limit)
		}
		b.packed = (b.unpadded + 3) &^ 3
		at += b.packed
		x.total += b.size
		x.blocks = append(x.blocks, b)
	}
	if at != end || len(rest) > 3 || !IsZero(rest) {
		return fmt.Errorf("%w: blocks end at %d of %d: more than one file packed into one", errFrame, at, end)
	}
	return nil
}

// around gives what makes a file of its own of a block: the header before it, index and footer behind it.
func (x *index) around(b block) (head, tail []byte) {
	text := binary.AppendUvarint([]byte{0, 1}, uint64(b.unpadded))
	text = binary.AppendUvarint(text, uint64(b.size))
	for len(text)%4 != 0 {
		text = append(text, 0)
	}
	text = binary.LittleEndian.AppendUint32(text, crc32.ChecksumIEEE(text))
	end := binary.LittleEndian.AppendUint32(nil, uint32(len(text)/4-1))
	end = append(end, x.header[6:8]...)
	tail = binary.LittleEndian.AppendUint32(text, crc32.ChecksumIEEE(end))
	return x.header, append(append(tail, end...), footerMagic...)
}

// dictionarySize reads the memory that a block's only filter, LZMA2, takes.
func dictionarySize(r io.ReaderAt, b block) (int64, error) {
	head := make([]byte, min(maxBlockHeader, b.packed))
	if _, err := r.ReadAt(head, b.at); err != nil {
		return 0, err
	}
	length := (int(head[0]) + 1) * 4
	if head[0] == 0 || length > len(head) || !sumIs(head[length-4:], head[:length-4]) {
		return 0, fmt.Errorf("%w: header", errFrame)
	}
	flags, rest := head[1], head[2:length-4]
	for _, bit := range []byte{0x40, 0x80} { // the sizes, which the index has, too
		if flags&bit == 0 {
			continue
		}
		var err error
		if _, rest, err = number(rest); err != nil {
			return 0, err
		}
	}
	// LZMA2's number, and the length of what is said of it: one byte.
	if flags&0x3f != 0 || len(rest) < 3 || rest[0] != 0x21 || rest[1] != 1 || rest[2] > 40 {
		return 0, fmt.Errorf("%w: not packed with LZMA2 alone", errFrame)
	}
	if rest[2] == 40 {
		return 1<<32 - 1, nil
	}
	return (2 | int64(rest[2]&1)) << (rest[2]/2 + 11), nil
}

// number reads an integer of at most 63 bits.
func number(b []byte) (int64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 9 {
		return 0, nil, fmt.Errorf("%w: number", errFrame)
	}
	return int64(v), b[n:], nil
}

func sumIs(sum, b []byte) bool { return binary.LittleEndian.Uint32(sum) == crc32.ChecksumIEEE(b) }
