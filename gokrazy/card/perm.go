// /perm: an empty ext4, the same bytes on every machine. What mke2fs makes hangs
// on its version, on the environment, and on the machine: the hash of names is
// signed on amd64 and unsigned on arm64. So its few blocks that are not zero
// are kept in a file. How that was made: perm_test.go.

package card

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// permBlocks is, packed, all that the file system uses: runs of blocks, each with the number of its
// first block and how many they are, in 4 bytes each, then a byte that says whether they are zero
// (0) or follow (1).
//
//go:embed perm.ext4.gz
var permBlocks []byte

const (
	permBlock = 4096
	permRun   = 4 + 4 + 1 // bytes before each run
)

// WriteEmptyPerm writes the file system of PermSize bytes into w, at the place of its first byte.
// Whatever lay there before, the file system is empty and whole; a partition that is larger is
// used once the kernel has grown it (EXT4_IOC_RESIZE_FS, up to PermMost). About 13 MB are
// written.
func WriteEmptyPerm(w io.WriterAt) error { return writePerm(w, false) }

// WriteNewPerm does the same where only zeros are, such as in a new file, which keeps its holes.
func WriteNewPerm(w io.WriterAt) error { return writePerm(w, true) }

func writePerm(w io.WriterAt, blank bool) error {
	z, err := gzip.NewReader(bytes.NewReader(permBlocks))
	if err != nil {
		return fmt.Errorf("/perm: %w", err)
	}
	for head := make([]byte, permRun); ; {
		_, err := io.ReadFull(z, head)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("/perm: %w", err)
		}
		first, count := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])
		run := make([]byte, int64(count)*permBlock)
		if zero := head[8] == 0; zero && blank {
			continue
		} else if !zero {
			if _, err := io.ReadFull(z, run); err != nil {
				return fmt.Errorf("/perm: %w", err)
			}
		}
		if _, err := w.WriteAt(run, int64(first)*permBlock); err != nil {
			return fmt.Errorf("/perm: write %d blocks from %d on: %w", count, first, err)
		}
	}
}
