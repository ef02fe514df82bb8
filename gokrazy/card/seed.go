// The seed: krazycam.json on the boot partition. The image holds a placeholder
// of blanks that is written over in place, so that neither FAT nor folder change.

package card

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// SeedSize is the size of the placeholder, and one more than a seed can have: settings
// of a few hundred bytes and half a dozen CA certificates.
const SeedSize = 16 << 10

// blanks are what fills a placeholder, here and in images of others.
const blanks = " \t\r\n\x00"

// ErrSeedTooLong means that a seed does not fit into the placeholder.
var ErrSeedTooLong = errors.New("seed is too long")

// WriteSeed puts a seed into the image or card at path, over the one that is
// there. It does not look at what the seed says.
func WriteSeed(path string, seed []byte) (err error) {
	f, size, err := openfile.Disk(path, os.O_RDWR)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := PutSeed(f, size, seed); err != nil {
		return fmt.Errorf("seed: %s: %w", path, err)
	}
	return f.Sync()
}

// A ReadWriterAt is a card or an image that can be changed.
type ReadWriterAt interface {
	io.ReaderAt
	io.WriterAt
}

// PutSeed does what WriteSeed does, to an open card or image of size bytes.
func PutSeed(rw ReadWriterAt, size int64, seed []byte) error {
	at, room, err := seedPlace(rw, size, seed)
	if err != nil {
		return err
	}
	if _, err := rw.WriteAt(PaddedSeed(seed, int(room)), at); err != nil {
		return fmt.Errorf("write %s: %w", SeedName, err)
	}
	return nil
}

// CheckSeed refuses what PutSeed would refuse: a disk that is no image of ours, and a
// seed it has no room for.
func CheckSeed(r io.ReaderAt, size int64, seed []byte) error {
	_, _, err := seedPlace(r, size, seed)
	return err
}

// seedPlace finds the placeholder on the disk. The seed must leave room for a newline.
func seedPlace(r io.ReaderAt, size int64, seed []byte) (at, room int64, err error) {
	boot, start, err := OpenBoot(r, size)
	if err != nil {
		return 0, 0, err
	}
	at, room, err = boot.Extent(SeedName)
	if err != nil {
		return 0, 0, fmt.Errorf("no place for a seed: %w", err)
	}
	if int64(len(seed)) > room-1 {
		return 0, 0, fmt.Errorf("%d bytes, can hold %d: %w", len(seed), room-1, ErrSeedTooLong)
	}
	return start + at, room, nil
}

// PaddedSeed fills a seed up with blanks to size bytes that end in a newline: still
// JSON. Without a seed it is the placeholder.
func PaddedSeed(seed []byte, size int) []byte {
	out := append(bytes.Clone(seed), bytes.Repeat([]byte{' '}, size-len(seed))...)
	out[size-1] = '\n'
	return out
}

// SeedIsBlank reports whether no seed was written yet. A boot partition without the file
// is an fs.ErrNotExist.
func SeedIsBlank(boot fs.FS) (bool, error) {
	b, err := fs.ReadFile(boot, SeedName)
	if err != nil {
		return false, fmt.Errorf("seed: %w", err)
	}
	return len(bytes.Trim(b, blanks)) == 0, nil
}
