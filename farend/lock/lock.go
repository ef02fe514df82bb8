// Package lock keeps a file or a folder for one process at a time. It owns nothing but the open file of
// each lock; the system gives that back when the process ends, however it ends.
package lock

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// ErrHeld says that another process has the lock.
var ErrHeld = errors.New("another process uses it")

// Folder takes a folder for this process, until unlock or until the process ends. The file that it
// leaves there holds nothing. Where the file system has no locks, all may use it.
func Folder(dir string) (unlock func(), err error) {
	return File(filepath.Join(dir, "lock"))
}

// File does the same with a file of any name.
func File(path string) (unlock func(), err error) {
	f, err := openfile.Append(path, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil // which gives the lock back
}
