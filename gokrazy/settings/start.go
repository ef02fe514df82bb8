// What is due at the start of a board, whatever the last run left unfinished.

package settings

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// A Start says what runs and what is tried.
type Start struct {
	Running  slot.Name
	Promoted slot.Name // slot.None if the card does not say
	Trial    string    // names the trial, if Running is on trial; "" if nobody asked for one
	Failed   string    // the version of the other slot, if its trial has failed
}

// A Settled says, for an owner, what Settle did.
type Settled struct {
	Back       []string // names of settings that had been left behind and count again
	LeftBehind []string // names of settings that the failed version had, and that do not count now
}

// Settle does what is due for settings when the board starts, before Load: it begins a trial, or
// ends one of which it finds the mark.
func (s Store) Settle(b Start) (Settled, error) {
	switch {
	case b.Running != b.Promoted && b.Promoted.Valid() && b.Trial != "":
		back, err := s.beginTrial(b.Running, b.Promoted, b.Trial)
		return Settled{Back: back}, err
	case b.Running != b.Promoted:
		return Settled{}, nil // nobody asked for it: the loader found the promoted slot unreadable
	}
	var back []string
	var err error
	if _, markErr := os.Lstat(s.path(b.Running, begunName)); markErr == nil {
		back, err = s.takeOver(b.Running)
		err = errors.Join(err, s.Promote(b.Running)) // or the power went between the switch and this
	}
	names, fallErr := s.fallBack(b.Running.Other(), b.Running, b.Failed)
	return Settled{Back: back, LeftBehind: names}, errors.Join(err, fallErr)
}

// Names of the time when a card had one configuration for both slots.
const (
	oldFile = "krazycam.json"
	oldMark = "krazycam.seed"
)

// Migrate moves the configuration of a card that has one for both slots to the running one.
func (s Store) Migrate(n slot.Name) error {
	raw, err := readFile(s.shared(oldFile))
	if err != nil {
		return err
	}
	if _, missing := os.Lstat(s.path(n, fileName)); missing != nil && raw != nil {
		if err := s.moveHere(n, raw); err != nil {
			return err
		}
	}
	if raw != nil {
		err = remove(s.shared(oldFile))
	}
	if _, missing := os.Lstat(s.shared(oldMark)); missing == nil {
		err = errors.Join(err, remove(s.shared(oldMark)))
	}
	return err
}

// moveHere makes raw slot n's configuration, with the mark of its seed.
func (s Store) moveHere(n slot.Name, raw []byte) error {
	if err := s.makeFolder(n); err != nil {
		return err
	}
	mark, err := readFile(s.shared(oldMark))
	if sum := strings.TrimSpace(string(mark)); err == nil && sum != "" {
		err = writeState(s.path(n, seedName), seedMark{format, sum})
	}
	if err != nil {
		return err
	}
	return replace(s.path(n, fileName), raw)
}

// temporary are the names of files that atomicfile makes and a power cut leaves.
var temporary = regexp.MustCompile(`^\..+-[0-9]+$`)

// Sweep removes what power cuts have left in the folders of settings: half-written files that
// nobody reads.
func (s Store) Sweep() error {
	var errs error
	for _, dir := range []string{s.Dir, s.path(slot.A, ""), s.path(slot.B, "")} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // not there yet, or worse, which others say
		}
		removed := false
		for _, e := range entries {
			if e.Type().IsRegular() && temporary.MatchString(e.Name()) {
				errs = errors.Join(errs, os.Remove(filepath.Join(dir, e.Name())))
				removed = true
			}
		}
		if removed {
			errs = errors.Join(errs, atomicfile.SyncFolder(dir))
		}
	}
	return errs
}
