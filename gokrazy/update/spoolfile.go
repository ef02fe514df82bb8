// Files of a spool: plain ones, inside of its folder, that no link leads to.

package update

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// openPlain opens a file that is no link, pipe or device, without waiting, and looks again at what
// it has opened: meanwhile the name may have come to mean another file.
func (s *Spool) openPlain(name string, flag int) (*os.File, error) {
	before, err := s.root.Lstat(name)
	switch {
	case err == nil && !before.Mode().IsRegular():
		return nil, &fs.PathError{Op: "open", Path: name, Err: openfile.ErrKind}
	case err != nil && (flag&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist)):
		return nil, err
	case err != nil:
		return s.root.OpenFile(name, flag|os.O_EXCL, 0o600)
	}
	f, err := s.root.OpenFile(name, flag&^os.O_CREATE|nonblock, 0)
	if err != nil {
		return nil, err
	}
	if after, err := f.Stat(); err != nil || !os.SameFile(before, after) {
		return nil, errors.Join(&fs.PathError{Op: "open", Path: name, Err: openfile.ErrKind}, err, f.Close())
	}
	return f, nil
}

// read reads a file of at most limit bytes.
func (s *Spool) read(name string, limit int64) ([]byte, error) {
	f, err := s.openPlain(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: %w: more than %d bytes", name, openfile.ErrTooLong, limit)
	}
	return b, err
}

// write replaces a file at the top in one step, and has it last.
func (s *Spool) write(name string, b []byte) error {
	temporary := name + partialSuffix
	if err := s.remove(temporary); err != nil {
		return err
	}
	f, err := s.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.root.Rename(temporary, name); err != nil {
		return err
	}
	return s.syncFolder(path.Dir(name))
}

// remove removes a file that need not be there, and has that last.
func (s *Spool) remove(name string) error {
	err := s.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.syncFolder(path.Dir(name))
}

func (s *Spool) list(folder string) ([]string, error) {
	f, err := s.root.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	return names, errors.Join(err, f.Close())
}

// syncFolder makes names in a folder last; see firmware/atomicfile.
func (s *Spool) syncFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := s.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
