// An image as it is written: a plain file, or one that was packed with xz and is unpacked first. So an
// image that was cut short is noticed before the first byte goes to a card, and is unpacked once for many.

package flash

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/flash/unpack"
)

// maxImage is more than any image of ours has, unpacked.
const maxImage = 16 << 30

// An Image is open for reading. It can be written onto many cards, one after the other.
type Image struct {
	Path string // as the owner gave it
	Size int64  // unpacked

	file     *os.File  // unpacked
	source   *os.File  // what Path names
	contents *contents // nil until it was read
}

// OpenImage opens an image, or a card, and unpacks it if it ends in .img.xz or is packed all the same. The
// unpacked one lies in the folder for temporary files, takes there what the image has of data, and goes
// with Close, or with the process.
func OpenImage(ctx context.Context, path string, progress func(step string, done, total int64)) (*Image, error) {
	f, size, err := openfile.Disk(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	if !unpack.IsXZ(f) {
		return &Image{Path: path, Size: size, file: f, source: f}, nil
	}
	i := &Image{Path: path, source: f}
	if i.file, err = temporary(); err != nil {
		return nil, errors.Join(fmt.Errorf("unpack %s: %w", path, err), f.Close())
	}
	report := Job{Progress: progress}.reportProgress
	i.Size, err = unpack.XZ(ctx, f, size, i.file, maxImage,
		func(done, total int64) { report("unpacking", done, total) })
	if err == nil {
		err = i.file.Truncate(i.Size) // zeros at its end were not written
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), i.Close())
	}
	return i, nil
}

// ReadAt reads the unpacked image.
func (i *Image) ReadAt(b []byte, at int64) (int, error) { return i.file.ReadAt(b, at) }

// Close gives back the room of what was unpacked.
func (i *Image) Close() error {
	err := i.file.Close()
	if i.source != i.file {
		err = errors.Join(err, i.source.Close())
	}
	return err
}
