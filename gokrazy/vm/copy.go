// A copy of an image that takes no more room than the image's data.

package vm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// copyBlock is the piece that is left out of the copy if it is all zero.
const copyBlock = 64 << 10

// copySparse copies a file; holes, and blocks of zeros, become holes.
func copySparse(to, from string) (err error) {
	src, err := openfile.File(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if err := dst.Truncate(info.Size()); err != nil {
		return err
	}
	for at := int64(0); at < info.Size(); {
		start, end, err := nextData(src, at, info.Size())
		if err != nil {
			return err
		}
		if err := copyRange(dst, src, start, end); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// copyRange copies bytes start to end, leaving out blocks of zeros.
func copyRange(dst io.WriterAt, src io.ReaderAt, start, end int64) error {
	block, zero := make([]byte, copyBlock), make([]byte, copyBlock)
	for at := start; at < end; {
		n := min(int64(len(block)), end-at)
		if _, err := src.ReadAt(block[:n], at); err != nil {
			return fmt.Errorf("read %d bytes at %d: %w", n, at, err)
		}
		if !bytes.Equal(block[:n], zero[:n]) {
			if _, err := dst.WriteAt(block[:n], at); err != nil {
				return fmt.Errorf("write %d bytes at %d: %w", n, at, err)
			}
		}
		at += n
	}
	return nil
}

// padToPowerOfTwo makes a file as long as a card could be for QEMU; what is added is a hole.
func padToPowerOfTwo(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	size := int64(1)
	for size < info.Size() {
		size *= 2
	}
	if size == info.Size() {
		return nil
	}
	return os.Truncate(file, size)
}
