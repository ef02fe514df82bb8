// A folder for one process at a time.

package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/krazycam/krazycam/firmware/openfile"
)

var errInUse = errors.New("another camctl receive uses it: give this one a directory of its own with --state")

// lockFolder takes a folder for this process, until unlock or until the process ends. The file
// that it leaves there holds nothing. Where the file system has no locks, all may use it.
func lockFolder(dir string) (unlock func(), err error) {
	return lockPath(filepath.Join(dir, "lock"))
}

// lockPath does the same with a file of any name.
func lockPath(path string) (unlock func(), err error) {
	f, err := openfile.Append(path, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil // which gives the lock back
}
