// The seed: krazycam.json on the boot partition. The image holds a placeholder
// of blanks that is written over in place, so that neither FAT nor folder change.
package gokrazy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

const (
	seedName    = "krazycam.json"
	cmdlineName = "cmdline.txt"

	// SeedSize is the most bytes a seed can have: settings of a few hundred bytes
	// and half a dozen CA certificates.
	SeedSize = 16 << 10

	blanks = " \t\r\n\x00"
)

// ErrSeedTooLong means that a seed does not fit into the placeholder.
var ErrSeedTooLong = errors.New("seed is too long")

// WriteSeed puts a seed into the image or card at path, over the one that is
// there. It does not look at what the seed says.
func WriteSeed(path string, seed []byte) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Seek(0, io.SeekEnd) // a block device's Stat knows no size
	if err != nil {
		return fmt.Errorf("seed: size of %s: %w", path, err)
	}
	if err := writeSeed(f, size, seed); err != nil {
		return fmt.Errorf("seed: %s: %w", path, err)
	}
	return f.Sync()
}

// readWriterAt is a card or an image.
type readWriterAt interface {
	io.ReaderAt
	io.WriterAt
}

func writeSeed(rw readWriterAt, size int64, seed []byte) error {
	boot, start, err := openBoot(rw, size)
	if err != nil {
		return err
	}
	at, room, err := boot.Extent(seedName)
	if err != nil {
		return fmt.Errorf("no place for a seed: %w", err)
	}
	if int64(len(seed)) > room-1 {
		return fmt.Errorf("%d bytes, can hold %d: %w", len(seed), room-1, ErrSeedTooLong)
	}
	if _, err := rw.WriteAt(padded(seed, int(room)), start+at); err != nil {
		return fmt.Errorf("write %s: %w", seedName, err)
	}
	return nil
}

// padded fills up with blanks to size bytes that end in a newline: still JSON.
func padded(b []byte, size int) []byte {
	out := append(bytes.Clone(b), bytes.Repeat([]byte{' '}, size-len(b))...)
	out[size-1] = '\n'
	return out
}

// openBoot opens the boot partition and gives its place on the disk.
func openBoot(r io.ReaderAt, size int64) (boot *disk.FAT, start int64, err error) {
	table, err := disk.ReadTable(r, size)
	if err != nil {
		return nil, 0, err
	}
	p := table.Partitions[0]
	boot, err = disk.OpenFAT(io.NewSectionReader(r, p.Start, p.Size), p.Size)
	if err != nil {
		return nil, 0, fmt.Errorf("boot partition: %w", err)
	}
	return boot, p.Start, nil
}

// seedIsBlank tells whether nobody wrote a seed yet.
func seedIsBlank(boot fs.FS) (bool, error) {
	b, err := fs.ReadFile(boot, seedName)
	if err != nil {
		return false, fmt.Errorf("seed: %w", err)
	}
	return len(bytes.Trim(b, blanks)) == 0, nil
}
