// Package settings keeps the owner's configuration over updates: one krazycam.json for each slot,
// so that what a newer version wrote never stops the older one that a board goes back to.
//
//	/perm/a/krazycam.json   what the version in slot a last ran with (b the same)
//	/perm/a/last-good.json  the last one that this version could use in full
//	/perm/a/seed.json       which seed of the boot partition is in it
//	/perm/b/begun.json      slot b is on trial, or was when the power went: see beginTrial
//	/perm/left-behind.json  settings of a version that was given up: see fallBack
//	/perm/reset.json        which reset file of the boot partition was obeyed
//
// A version on trial writes into its own slot's folder alone. What slots share is written by the
// promoted version, and by the one that follows once it is promoted. Each file of state has a
// number of its format; a file of a newer format counts as missing and is left as it is. All of
// this is root's: the files hold the gateway's key.
//
// The functions work on a folder, /perm on a board, and do everything again that a power cut
// interrupted: they may be called at each start. Process 1 calls them, one at a time. The package
// owns nothing between two calls.
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// Names in a slot's folder and beside it.
const (
	fileName       = config.SeedName
	goodName       = "last-good.json"
	seedName       = "seed.json"
	begunName      = "begun.json"
	leftBehindName = "left-behind.json"
	resetName      = "reset.json"
)

// A Store is the settings on /perm.
type Store struct {
	Dir      string        // where the partition is mounted
	Defaults []config.Item // of the image: config.ImageItems
}

// Where settings come from, in words for an owner.
const (
	FromFile     = "krazycam.json"
	FromLastGood = "the last good krazycam.json"
	FromDefaults = "the image's defaults"
)

// Settings are what a board goes by.
type Settings struct {
	Items    []config.Item   // the owner's, over the image's defaults
	From     string          // one of the above
	Problems []*config.Error // of the owner's file
	Unused   bool            // the owner's file is there and is not what counts
}

// Load gives what the version in slot n goes by: the owner's file as far as this version knows it,
// else the last good one, else the image's defaults. It keeps a file that is good for the day when
// it is not. An error says that this could not be done; the Settings count all the same.
func (s Store) Load(n slot.Name) (Settings, error) {
	path := s.path(n, fileName)
	raw, err := openfile.Read(path, config.MaxBytes)
	missing := errors.Is(err, fs.ErrNotExist)
	if err == nil {
		v := config.Judge(s.Defaults, path, raw)
		if v.Usable {
			return Settings{Items: v.Items, From: FromFile, Problems: v.Problems}, s.keepGood(n, raw, v)
		}
		return s.instead(n, v.Problems), nil
	}
	if missing {
		return s.instead(n, nil), nil
	}
	return s.instead(n, []*config.Error{{File: path, Text: err.Error()}}), nil
}

// instead is what counts in the place of the owner's file, which is missing if there are no problems.
func (s Store) instead(n slot.Name, problems []*config.Error) Settings {
	found := Settings{From: FromDefaults, Problems: problems, Unused: len(problems) > 0}
	path := s.path(n, goodName)
	raw, err := openfile.Read(path, config.MaxBytes)
	if err != nil {
		return found
	}
	v := config.Judge(s.Defaults, path, raw)
	if !v.Usable {
		return found
	}
	if len(problems) == 0 {
		found.Problems = []*config.Error{{File: s.path(n, fileName), Text: "is gone"}}
	}
	found.Items, found.From, found.Unused = v.Items, FromLastGood, true
	return found
}

// keepGood keeps a file without a problem as the last good one, unless it is that already.
func (s Store) keepGood(n slot.Name, raw []byte, v config.Verdict) error {
	if len(v.Problems) > 0 {
		return nil
	}
	return writeIfChanged(s.path(n, goodName), raw)
}

// path gives a file in a slot's folder.
func (s Store) path(n slot.Name, name string) string { return filepath.Join(s.Dir, n.Folder(), name) }

// shared gives a file beside the slots' folders.
func (s Store) shared(name string) string { return filepath.Join(s.Dir, name) }

// makeFolder makes a slot's folder, which is root's alone.
func (s Store) makeFolder(n slot.Name) error {
	if !n.Valid() {
		return fmt.Errorf("settings: %q is no slot", n)
	}
	dir := s.path(n, "")
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() { // somebody's file, or damage
		if err := os.Remove(dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// writeIfChanged replaces a file durably if it does not have these bytes: a write is wear.
func writeIfChanged(path string, b []byte) error {
	if old, err := openfile.Read(path, int64(len(b))); err == nil && string(old) == string(b) {
		return nil
	}
	return replace(path, b)
}

// replace writes a file that only root may read. What is no plain file is taken out of the way: a
// damaged file system, or somebody's experiment.
func replace(path string, b []byte) error {
	if openfile.CheckPlain(path) != nil {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return atomicfile.ReplaceDurably(path, 0o600, atomicfile.Bytes(b))
}

// remove takes a file away for good; it need not be there.
func remove(path string) error {
	err := os.RemoveAll(path)
	if err == nil {
		err = atomicfile.SyncFolder(filepath.Dir(path))
	}
	if errors.Is(err, fs.ErrNotExist) { // not even its folder
		return nil
	}
	return err
}

// readFile reads one of the owner's files; nil if it is missing.
func readFile(path string) ([]byte, error) {
	b, err := openfile.Read(path, config.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
