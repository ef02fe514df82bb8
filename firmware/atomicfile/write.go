// Files that the one who runs a program names, on its command line.

package atomicfile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// Write writes to a path that a person gave: it follows symbolic links, replaces a plain file
// durably, and writes into a terminal, /dev/null or a pipe that somebody reads. Else it returns
// openfile.ErrKind.
func Write(path string, mode fs.FileMode, fill func(*os.File) error) error {
	target, err := PlainFile(path)
	switch {
	case err == nil:
		return ReplaceDurably(target, mode, fill)
	case !errors.Is(err, openfile.ErrKind):
		return err
	}
	f, err := openfile.Create(path, mode)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := errors.Join(fill(f), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// CheckWrite says what Write could not do with path, as long as nothing changes there: before hours
// of work whose result goes there.
func CheckWrite(path string) error {
	target, err := PlainFile(path)
	switch {
	case errors.Is(err, openfile.ErrKind):
		return openfile.CheckCreate(path)
	case err != nil:
		return err
	}
	_, err = os.Stat(filepath.Dir(target))
	return err
}

// linksMax is what Linux follows (path_resolution(7)).
const linksMax = 40

// PlainFile gives the path to which the symbolic links of another lead, so that the file can be
// replaced and not the link. It need not be there yet. What is no plain file is openfile.ErrKind.
func PlainFile(path string) (string, error) {
	if err := openfile.CheckPlain(path); err != nil {
		return "", err
	}
	at := path
	for range linksMax {
		folder, name := filepath.Split(at)
		folder, err := filepath.EvalSymlinks(cmp.Or(folder, ".")) // first, for a ".." behind a link
		if err != nil {
			return "", err
		}
		at = filepath.Join(folder, name)
		info, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSymlink == 0 {
			return at, nil
		}
		to, err := os.Readlink(at)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = folder + string(filepath.Separator) + to
		}
		at = to
	}
	return "", &fs.PathError{Op: "open", Path: path, Err: errors.New("too many symbolic links")}
}
