// The kernel of a 32-bit ARM board: a zImage, a small program with the xz-compressed
// kernel inside. It is unpacked to read the kernel's release out of it: nothing in
// the clear says that.
// Spec: arch/arm/boot/compressed/head.S (zImage), scripts/xz_wrap.sh, and "The .xz
// File Format" 1.1.0, sections 2.1.1 and 3.1.

package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

const (
	zImageMagicAt = 0x24
	zImageMagic   = 0x016f2818

	xzMagic  = "\xfd7zXZ\x00"
	xzHeader = 12 // of a stream: magic, flags, CRC32
	xzLZMA2  = 0x21
	// xz_wrap.sh asks for a dictionary of 32 MiB.
	maxXZDictionary = 64 << 20
)

var errNoXZ = errors.New("no xz stream in the zImage: a kernel compressed in another way is not known here")

func isZImage(b []byte) bool {
	return len(b) >= zImageMagicAt+4 && binary.LittleEndian.Uint32(b[zImageMagicAt:]) == zImageMagic
}

// unpackZImage gives the kernel inside, at most maxKernel bytes of it. Branches stay
// as the ARM filter left them: texts are as they were.
func unpackZImage(b []byte) ([]byte, error) {
	for rest := b; ; {
		at := bytes.Index(rest, []byte(xzMagic))
		if at < 0 {
			return nil, errNoXZ
		}
		rest = rest[at:]
		// The unpacking program bears the magic too, as the text that it looks for.
		if packed, dictionary, ok := xzBlock(rest); ok {
			r, err := lzma.Reader2Config{DictCap: dictionary}.NewReader2(bytes.NewReader(packed))
			if err != nil {
				return nil, fmt.Errorf("zImage: %w", err)
			}
			kernel, err := io.ReadAll(io.LimitReader(r, maxKernel))
			if err != nil {
				return nil, fmt.Errorf("zImage: %w", err)
			}
			return kernel, nil
		}
		rest = rest[len(xzMagic):]
	}
}

// xzBlock finds the LZMA2 data of the first block of a stream and the size of its
// dictionary. ok is false where the headers' checksums are not right, or where the
// filter before LZMA2 is not one of those that only change branches.
func xzBlock(b []byte) (packed []byte, dictionary int, ok bool) {
	le := binary.LittleEndian
	if len(b) < xzHeader+8 || crc32.ChecksumIEEE(b[6:8]) != le.Uint32(b[8:]) {
		return nil, 0, false
	}
	b = b[xzHeader:]
	size := (int(b[0]) + 1) * 4
	if b[0] == 0 || size > len(b) || crc32.ChecksumIEEE(b[:size-4]) != le.Uint32(b[size-4:]) {
		return nil, 0, false
	}
	filters, rest := int(b[1]&3)+1, b[2:size-4]
	if b[1]&0xfc != 0 { // sizes before the filters: xz_wrap.sh writes through a pipe and knows none
		return nil, 0, false
	}
	for range filters {
		if len(rest) < 2 {
			return nil, 0, false
		}
		id, properties := rest[0], int(rest[1])
		rest = rest[2:]
		if properties > len(rest) {
			return nil, 0, false
		}
		if id == xzLZMA2 && properties == 1 {
			dictionary, ok = xzDictionary(rest[0])
			return b[size:], dictionary, ok
		}
		if id < 4 || id > 9 { // x86 to SPARC: branches
			return nil, 0, false
		}
		rest = rest[properties:]
	}
	return nil, 0, false
}

// xzDictionary is section 5.3.1 of the format: 4 KiB, 6 KiB, 8 KiB, 12 KiB, …
func xzDictionary(bits byte) (size int, ok bool) {
	if bits > 40 {
		return 0, false
	}
	wide := (2 | int64(bits&1)) << (bits/2 + 11)
	return int(wide), wide <= maxXZDictionary
}
