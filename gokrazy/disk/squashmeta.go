// The metadata tables of a squashfs that is being written, and its compressor.

package disk

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
)

// sqfsMeta is a table of packed blocks of 8 KiB. What is written may span two.
type sqfsMeta struct {
	packed []byte
	block  []byte // not full yet
}

// nextRef is where the next byte will be.
func (m *sqfsMeta) nextRef() uint64 { return uint64(len(m.packed))<<16 | uint64(len(m.block)) }

func (m *sqfsMeta) appendRecord(b []byte) uint64 {
	ref := m.nextRef()
	for m.block = append(m.block, b...); len(m.block) >= sqfsMetaSize; {
		m.packBlock(sqfsMetaSize)
	}
	return ref
}

func (m *sqfsMeta) packBlock(n int) {
	packed, head := deflate(m.block[:n]), uint16(0)
	if len(packed) >= n {
		packed, head = m.block[:n], sqfsMetaRaw
	}
	m.packed = binary.LittleEndian.AppendUint16(m.packed, uint16(len(packed))|head)
	m.packed = append(m.packed, packed...)
	m.block = append([]byte(nil), m.block[n:]...)
}

func (m *sqfsMeta) packedTable() []byte {
	if len(m.block) > 0 {
		m.packBlock(len(m.block))
	}
	return m.packed
}

func deflate(b []byte) []byte {
	var out bytes.Buffer
	z, err := zlib.NewWriterLevel(&out, zlib.BestCompression)
	if err == nil {
		_, err = z.Write(b)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil { // not possible with a buffer; a block that did not shrink is stored
		return b
	}
	return out.Bytes()
}
