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

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// SeedSize is the size of the placeholder, and one more than a seed can have: settings
// of a few hundred bytes and half a dozen CA certificates.
const SeedSize = 16 << 10

// maxSeedFile is the longest seed that a board reads.
const maxSeedFile = config.MaxBytes

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
	boot, start, room, err := seedPlace(rw, size, seed)
	if err != nil {
		return err
	}
	return boot.Replace(io.NewOffsetWriter(rw, start), SeedName, PaddedSeed(seed, int(room)))
}

// CheckSeed refuses what PutSeed would refuse: a disk that is no image of ours, and a
// seed it has no room for.
func CheckSeed(r io.ReaderAt, size int64, seed []byte) error {
	_, _, _, err := seedPlace(r, size, seed)
	return err
}

// seedPlace opens the boot partition and says how long the file will be: as long as a placeholder,
// or as the file that is there if that is longer, or if there is no room for more. The seed must
// leave room for a newline.
func seedPlace(r io.ReaderAt, size int64, seed []byte) (boot *disk.FAT, start, room int64, err error) {
	if boot, start, err = OpenBoot(r, size); err != nil {
		return nil, 0, 0, err
	}
	own := int64(0)
	if info, err := boot.Stat(SeedName); err == nil {
		own = min(info.Size(), maxSeedFile)
	}
	need := int64(len(seed)) + 1
	room = max(SeedSize, own)
	if need > room {
		return nil, 0, 0, fmt.Errorf("%d bytes, can hold %d: %w", len(seed), room-1, ErrSeedTooLong)
	}
	err = boot.CanReplace(SeedName, room)
	if errors.Is(err, disk.ErrFull) && own >= need {
		room, err = own, boot.CanReplace(SeedName, own)
	}
	if err != nil {
		return nil, 0, 0, fmt.Errorf("no place for a seed: %w", err)
	}
	return boot, start, room, nil
}

// PaddedSeed fills a seed up with blanks to size bytes that end in a newline: still
// JSON. Without a seed it is the placeholder.
func PaddedSeed(seed []byte, size int) []byte {
	out := append(bytes.Clone(seed), bytes.Repeat([]byte{' '}, size-len(seed))...)
	out[size-1] = '\n'
	return out
}

// ReadSeed reads the seed without the blanks behind it: nothing if none was written yet. A boot
// partition without the file is an fs.ErrNotExist, a file that is longer than a board reads an
// ErrSeedTooLong.
func ReadSeed(boot fs.FS) ([]byte, error) {
	b, err := ReadFile(boot, SeedName, maxSeedFile)
	if errors.Is(err, errTooLong) {
		return nil, fmt.Errorf("%w: %w", ErrSeedTooLong, err)
	}
	return bytes.TrimRight(b, blanks), err
}

var errTooLong = errors.New("too long")

// ReadFile reads a file of at most limit bytes out of an image, which may be a stranger's.
func ReadFile(tree fs.FS, name string, limit int64) ([]byte, error) {
	info, err := fs.Stat(tree, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes, looked at up to %d: %w: %w", name, info.Size(), limit, errTooLong,
			disk.ErrDamaged)
	}
	return fs.ReadFile(tree, name)
}

// LikeSeed names the files on the boot partition that their owner may take for the seed.
func LikeSeed(boot fs.FS) (names []string) {
	entries, err := fs.ReadDir(boot, ".")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if config.LooksLikeSeed(e.Name()) && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}
