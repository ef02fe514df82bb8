// A FIT image: a device tree that lists parts, whose bytes lie behind it, with a checksum of each.
// Spec: U-Boot's doc/uImage.FIT/source_file_format.txt.

package uboot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/krazycam/krazycam/gokrazy/fdt"
)

func isFIT(b []byte) bool { return len(b) >= 4 && binary.BigEndian.Uint32(b) == fdt.Magic }

// mendFIT writes the checksum of the part that holds the bytes from start to end. A part with
// another checksum beside it is refused.
func mendFIT(b []byte, start, end int) error {
	tree, err := fdt.Parse(b)
	if err != nil {
		return fmt.Errorf("FIT image: %w: %w", err, ErrUnknownBuild)
	}
	images, err := tree.Find("/images")
	if err != nil {
		return fmt.Errorf("FIT image: %w: %w", err, ErrUnknownBuild)
	}
	// Offsets are counted from the tree's end, which its second word gives.
	behind := (int64(binary.BigEndian.Uint32(b[4:])) + 3) &^ 3
	for _, part := range images.Nodes {
		from, size := behind+int64(cell(part, "data-offset")), int64(cell(part, "data-size"))
		if from > int64(start) || from+size < int64(end) {
			continue
		}
		sum := crc32Of(part)
		if from+size > int64(len(b)) || sum == nil {
			return fmt.Errorf("FIT image: %s of %d bytes at %d: want its bytes, and a CRC32 as its one checksum: %w",
				part.Name, size, from, ErrUnknownBuild)
		}
		binary.BigEndian.PutUint32(sum, crc32.ChecksumIEEE(b[from:from+size]))
		return nil
	}
	return fmt.Errorf("FIT image: no part holds the bytes from %d to %d: %w", start, end, ErrUnknownBuild)
}

// cell is a number of 32 bits, 0 without one.
func cell(n *fdt.Node, property string) uint32 {
	value, _ := n.Property(property)
	if len(value) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(value)
}

// crc32Of gives the bytes of a part's checksum, as they lie in the image; nil if that is no CRC32, or
// not the only one.
func crc32Of(part *fdt.Node) (sum []byte) {
	for _, n := range part.Nodes {
		if !strings.HasPrefix(n.Name, "hash") {
			continue
		}
		algorithm, _ := n.Property("algo")
		value, _ := n.Property("value")
		if sum != nil || string(algorithm) != "crc32\x00" || len(value) != 4 {
			return nil
		}
		sum = value
	}
	return sum
}
