// A small file that changes every hour.

package perm

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// sectorBytes is what a card writes as a whole.
const sectorBytes = 512

// Overwrite puts b in the place of what the file has, if that is as long and fits a sector: the card
// writes one block, where a new file with a new name costs it 90 kB of journal and tables (measured
// by the test). A power cut leaves the old bytes or the new ones. Otherwise the file is replaced.
func Overwrite(path string, mode fs.FileMode, b []byte) error {
	f, size, err := openfile.Disk(path, os.O_WRONLY)
	if err != nil || size != int64(len(b)) || size > sectorBytes {
		if err == nil {
			err = f.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return atomicfile.ReplaceDurably(path, mode, atomicfile.Bytes(b))
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = unix.Fdatasync(int(f.Fd()))
	}
	return errors.Join(err, f.Close())
}
