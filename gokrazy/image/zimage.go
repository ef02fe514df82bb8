// The kernel of a 32-bit ARM board: a zImage, a small program with the packed kernel
// behind it. Nothing in the clear says the kernel's release.
// Spec: Linux arch/arm/boot/compressed/head.S, the words at label start.

package image

import (
	"encoding/binary"
	"fmt"
)

const (
	zImageHeader = 0x34 // up to the word that shows the order of bytes
	zImageMagic  = 0x016f2818
	zImageOrder  = 0x04030201
)

// zImageWord reads a word of the header.
func zImageWord(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }

func isZImage(b []byte) bool { return len(b) >= zImageHeader && zImageWord(b, 0x24) == zImageMagic }

// checkZImage refuses one that was cut short. More bytes than it says are a device tree
// that was put behind it.
func checkZImage(b []byte) error {
	if order := zImageWord(b, 0x30); order != zImageOrder {
		return fmt.Errorf("zImage: order of bytes %#x, want %#x: %w", order, zImageOrder, ErrUnfit)
	}
	start, end := int64(zImageWord(b, 0x28)), int64(zImageWord(b, 0x2c))
	if size := end - start; size < zImageHeader || size > int64(len(b)) {
		return fmt.Errorf("zImage: says that it has %d bytes, there are %d: %w", size, len(b), ErrUnfit)
	}
	return nil
}
