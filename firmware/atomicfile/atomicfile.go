// Package atomicfile replaces a file in one step: whoever reads it, and whoever reads it after
// a power cut, finds all of the old bytes or all of the new ones.
//
// The bytes go into a new file in the same folder, are synced to the disk, and only then take
// the old file's name. Without the sync, ext4 may keep the new name and lose the bytes. The
// price is one flush of the disk for each replacement, a second one if it has to last at once;
// on a card that is wear, so callers replace a file only when its content changed. A power cut
// in between leaves a file .NAME-N beside it, which nobody reads.
//
// What is no plain file is never replaced: as root that would put a file in the place of a device.
// Replace does replace a symbolic link, so that nobody who may write to a folder can send a program
// with more rights elsewhere; a path that the one who runs the program gives goes to Write.
//
// It owns nothing between two calls and imports of ours only openfile: programs on a board, the far
// end and camctl use it.
//
// Sources: rename(2), fsync(2) (the folder's entry needs a sync of its own); ext4(5),
// auto_da_alloc.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// Replace writes a file with the given mode, whatever the umask is; the owner is who runs. fill
// writes the content and may change the file's group.
//
// After a power cut within the next seconds, even one after Replace returned, the file may be
// the old one; see ReplaceDurably.
func Replace(path string, mode fs.FileMode, fill func(*os.File) error) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("replace: %w", openfile.CheckPlain(path))
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	err = errors.Join(write(f, mode, fill), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// write fills and syncs f. The first error ends it: what comes after would only repeat it.
func write(f *os.File, mode fs.FileMode, fill func(*os.File) error) error {
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := fill(f); err != nil {
		return err
	}
	return f.Sync()
}

// ReplaceDurably is Replace for what must not come undone: once it has returned, a power cut
// leaves the new file. ext4 alone would take up to 5 s for that.
func ReplaceDurably(path string, mode fs.FileMode, fill func(*os.File) error) error {
	if err := Replace(path, mode, fill); err != nil {
		return err
	}
	if err := SyncFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}

// SyncFolder makes what was renamed, made or removed in a folder last. Where a folder cannot be synced that is
// no error: the change itself was whole.
func SyncFolder(path string) error {
	if runtime.GOOS == "windows" { // opens a folder for reading only and refuses to flush it
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close() // read only: nothing is lost
	if err := d.Sync(); !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// Bytes returns a fill for Replace that writes b.
func Bytes(b []byte) func(*os.File) error {
	return func(f *os.File) error {
		_, err := f.Write(b)
		return err
	}
}
