// ext4: what its block bitmaps call used, and all that describes groups.

package main

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	superAt         = 1024   // of the superblock in the partition
	featureMetaBG   = 0x10   // incompat: descriptors lie in their groups
	feature64       = 0x80   // incompat: descriptors have desc_size bytes
	featureBigalloc = 0x200  // ro_compat: a bit of a bitmap is more than a block
	groupBlocksVoid = 0x0002 // bg_flags: the block bitmap was never written
)

func isExt(head []byte) bool { return binary.LittleEndian.Uint16(head[superAt+56:]) == 0xef53 }

// extLayout is what of a superblock says where the groups are; in blocks, if not named bytes.
type extLayout struct {
	blockBytes              int64
	first, count, perGroup  int64
	descBytes, inodeBlocks  int64
	descBlocks, spareBlocks int64
	groups                  int64
}

// readExt gives false for what this program cannot follow.
func readExt(sb []byte, size int64) (l extLayout, ok bool) {
	le := binary.LittleEndian
	shift, incompat := le.Uint32(sb[24:]), le.Uint32(sb[96:])
	if shift > 6 || incompat&featureMetaBG != 0 || le.Uint32(sb[100:])&featureBigalloc != 0 {
		return l, false
	}
	l.blockBytes = 1024 << shift
	l.first, l.perGroup = int64(le.Uint32(sb[20:])), int64(le.Uint32(sb[32:]))
	l.count, l.descBytes = int64(le.Uint32(sb[4:])), 32
	if incompat&feature64 != 0 {
		l.count |= int64(le.Uint32(sb[336:])) << 32
		l.descBytes = int64(le.Uint16(sb[254:]))
	}
	inodeBytes := int64(le.Uint16(sb[88:])) * int64(le.Uint32(sb[40:]))
	if l.perGroup < 256 || l.perGroup > 8*l.blockBytes || l.descBytes < 32 || l.descBytes > 1024 ||
		l.count <= l.first || l.count > size/l.blockBytes || inodeBytes > size {
		return l, false
	}
	l.inodeBlocks = (inodeBytes + l.blockBytes - 1) / l.blockBytes
	l.groups = (l.count - l.first + l.perGroup - 1) / l.perGroup
	l.descBlocks = (l.groups*l.descBytes + l.blockBytes - 1) / l.blockBytes
	l.spareBlocks = int64(le.Uint16(sb[206:]))
	return l, true
}

func (m *blockMap) addExt(r io.ReaderAt, p section, head []byte) error {
	l, ok := readExt(head[superAt:], p.size)
	if !ok {
		m.add(p.start, p.size)
		return nil
	}
	descs := make([]byte, l.groups*l.descBytes)
	if _, err := r.ReadAt(descs, p.start+(l.first+1)*l.blockBytes); err != nil {
		return fmt.Errorf("read descriptors of %d groups: %w", l.groups, err)
	}
	add := func(block, count int64) {
		if block >= 0 && block < l.count {
			m.add(p.start+block*l.blockBytes, count*l.blockBytes)
		}
	}
	add(0, l.first+1)
	for g := range l.groups {
		d := descs[g*l.descBytes:][:l.descBytes]
		start := l.first + g*l.perGroup
		// Superblock, descriptors and room for more of them, or their copies. Not every group has
		// them; where it has not, these few blocks too many cost nothing.
		add(start, 1+l.descBlocks+l.spareBlocks)
		bitmap := l.pointer(d, 0)
		add(bitmap, 1)
		add(l.pointer(d, 4), 1)
		add(l.pointer(d, 8), l.inodeBlocks)
		if binary.LittleEndian.Uint16(d[18:])&groupBlocksVoid != 0 {
			continue // nothing is used in it but what describes groups
		}
		if bitmap <= 0 || bitmap >= l.count {
			return fmt.Errorf("group %d: block bitmap at block %d of %d", g, bitmap, l.count)
		}
		used := make([]byte, l.blockBytes)
		if _, err := r.ReadAt(used, p.start+bitmap*l.blockBytes); err != nil {
			return fmt.Errorf("read block bitmap of group %d: %w", g, err)
		}
		for b := range min(l.perGroup, l.count-start) {
			if used[b/8]&(1<<(b%8)) != 0 {
				add(start+b, 1)
			}
		}
	}
	return nil
}

// pointer reads a block number of a group's descriptor: low half at at, high half 32 bytes on.
func (l extLayout) pointer(d []byte, at int) int64 {
	n := int64(binary.LittleEndian.Uint32(d[at:]))
	if l.descBytes >= 64 {
		n |= int64(binary.LittleEndian.Uint32(d[at+32:])&0x7fffffff) << 32
	}
	return n
}
