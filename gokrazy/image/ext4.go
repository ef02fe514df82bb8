// /perm: an empty ext4, the same bytes on every machine. What mke2fs makes hangs
// on its version, on the environment, and on the machine: the hash of names is
// signed on amd64 and unsigned on arm64. So its eleven blocks that are not zero
// are kept in a file. How that was made: ext4_test.go.

package image

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// permBlocks is, packed, for each block its number in 4 bytes and then its bytes.
//
//go:embed perm.ext4.gz
var permBlocks []byte

const permBlock = 4096

// writePerm writes the file system into w, whose first card.PermSize bytes must be
// zero (a new file).
func writePerm(w io.WriterAt) error {
	z, err := gzip.NewReader(bytes.NewReader(permBlocks))
	if err != nil {
		return fmt.Errorf("/perm: %w", err)
	}
	for record := make([]byte, 4+permBlock); ; {
		_, err := io.ReadFull(z, record)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("/perm: %w", err)
		}
		at := int64(binary.LittleEndian.Uint32(record)) * permBlock
		if _, err := w.WriteAt(record[4:], at); err != nil {
			return fmt.Errorf("/perm: write block at %d: %w", at, err)
		}
	}
}
