// A program that is small and would unpack to more than a machine has.

package image

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"runtime"
	"testing"
)

const mib = 1 << 20

// bomb is an ELF file whose section names are zeros of the given size, packed.
func bomb(t *testing.T, size int) []byte {
	t.Helper()
	var packed bytes.Buffer
	chdr := elf.Chdr64{Type: uint32(elf.COMPRESS_ZLIB), Size: uint64(size), Addralign: 1}
	if err := binary.Write(&packed, binary.LittleEndian, chdr); err != nil {
		t.Fatal(err)
	}
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	names := elf.Section64{Type: uint32(elf.SHT_STRTAB), Flags: uint64(elf.SHF_COMPRESSED), Off: 64 + 2*64,
		Size: uint64(packed.Len())}
	header := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_AARCH64),
		Version: 1,
		Shoff:   64, Ehsize: 64, Shentsize: 64, Shnum: 2, Shstrndx: 1,
	}
	var out bytes.Buffer
	for _, part := range []any{header, elf.Section64{}, names, packed.Bytes()} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestReadProgramDoesNotUnpackABomb(t *testing.T) {
	b := bomb(t, 256*mib)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ReadProgram("user/bomb", b)
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("no error")
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16*mib {
		t.Errorf("%d bytes made %d MiB: %v", len(b), grown/mib, err)
	}
}
