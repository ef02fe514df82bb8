// The smallest kernel module.

package imagetest

import (
	"debug/elf"
	"encoding/binary"
)

// Release is of the kernel that Pi lays out.
const Release = "6.1.0-fake"

// Module is the least ELF file with a .modinfo section: a module for a kernel of that
// release.
func Module(release string) []byte {
	names := "\x00.shstrtab\x00.modinfo\x00"
	info := "license=GPL\x00vermagic=" + release + " SMP preempt mod_unload aarch64\x00"
	const head, section = 64, 64
	le := binary.LittleEndian
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	b = le.AppendUint16(b, uint16(elf.ET_REL))
	b = le.AppendUint16(b, uint16(elf.EM_AARCH64))
	b = le.AppendUint32(b, 1)
	b = append(b, make([]byte, 16)...) // entry, program headers
	b = le.AppendUint64(b, head)       // section headers follow at once
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{head, 0, 0, section, 3, 1} {
		b = le.AppendUint16(b, v)
	}
	data := uint64(head + 3*section)
	b = append(b, make([]byte, section)...)
	for _, s := range []struct {
		name uint32
		kind elf.SectionType
		at   uint64
		size int
	}{{1, elf.SHT_STRTAB, data, len(names)}, {11, elf.SHT_PROGBITS, data + uint64(len(names)), len(info)}} {
		b = le.AppendUint32(b, s.name)
		b = le.AppendUint32(b, uint32(s.kind))
		b = append(b, make([]byte, 16)...) // flags, address
		b = le.AppendUint64(b, s.at)
		b = le.AppendUint64(b, uint64(s.size))
		b = append(b, make([]byte, 8)...)
		b = le.AppendUint64(b, 1)
		b = le.AppendUint64(b, 0)
	}
	return append(append(b, names...), info...)
}
