// FAT16: reserved sectors, FATs, root folder, and the clusters that belong to a file.

package main

import (
	"encoding/binary"
	"fmt"
	"io"
)

// isFAT16 goes by the label in the boot sector, as our own image has it. The count of clusters, which
// decides by Microsoft's specification, is checked in addFAT16.
func isFAT16(head []byte) bool {
	return string(head[54:62]) == "FAT16   " && head[510] == 0x55 && head[511] == 0xaa
}

// addFAT16 maps the whole partition if a number of the boot sector makes no sense.
func (m *blockMap) addFAT16(r io.ReaderAt, p section, head []byte) error {
	le := binary.LittleEndian
	sector := int64(le.Uint16(head[11:]))
	cluster := int64(head[13]) * sector
	reserved := int64(le.Uint16(head[14:])) * sector
	fats, fatSize := int64(head[16]), int64(le.Uint16(head[22:]))*sector
	rootSize := int64(le.Uint16(head[17:])) * 32
	data := reserved + fats*fatSize + rootSize
	if sector < 512 || cluster == 0 || fats == 0 || fatSize == 0 || data >= p.size {
		m.add(p.start, p.size)
		return nil
	}
	clusters := (p.size - data) / cluster
	if clusters > fatSize/2-2 {
		clusters = fatSize/2 - 2
	}
	if clusters < 4085 || clusters >= 65525 {
		m.add(p.start, p.size)
		return nil
	}
	m.add(p.start, data)
	fat := make([]byte, fatSize)
	if _, err := r.ReadAt(fat, p.start+reserved); err != nil {
		return fmt.Errorf("read FAT: %w", err)
	}
	for c := range clusters {
		if le.Uint16(fat[2*(c+2):]) != 0 {
			m.add(p.start+data+c*cluster, cluster)
		}
	}
	return nil
}
