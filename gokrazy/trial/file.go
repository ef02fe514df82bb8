// The record's file on /perm. Both versions read it, so its format can only gain fields.

package trial

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/control"
)

// File is where the record is on a board; root's alone.
const File = "/perm/update/trial.json"

const (
	format   = 1
	maxFile  = 16 << 10
	maxNeedS = 3600 // of a manifest, too
)

// Kept is all that the file holds.
type Kept struct {
	Record *Record         `json:"trial,omitempty"`  // nil: none
	Failed *control.Failed `json:"failed,omitempty"` // the latest version that failed here; nil: none did

	// WentBack says that the last run left a slot that nobody had asked for.
	WentBack bool `json:"went_back,omitempty"`

	// Started has, for each slot, the version that is known to have started in it: only that may be
	// promoted without a trial.
	Started map[string]Version `json:"started,omitempty"`
}

// A Version is one, told from a rebuild of the same name by its index.
type Version struct {
	Version string `json:"version"`
	Index   int64  `json:"index"`
}

type file struct {
	Format int `json:"format"`
	Kept
}

// Load reads the file. Without one, nothing is kept. With an error nothing is, too: a board that
// does not know what it tried stays with what is promoted.
func Load(path string) (Kept, error) {
	b, err := openfile.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Kept{}, nil
	}
	if err != nil {
		return Kept{}, fmt.Errorf("trial: %w", err)
	}
	k, err := parse(b)
	if err != nil {
		return Kept{}, fmt.Errorf("trial: %s: %w", path, err)
	}
	return k, nil
}

func parse(b []byte) (Kept, error) {
	var f file
	if err := json.Unmarshal(b, &f); err != nil {
		return Kept{}, err
	}
	if f.Format != format {
		return Kept{}, fmt.Errorf("format %d, this version knows %d", f.Format, format)
	}
	if f.Record != nil {
		if err := f.Record.check(); err != nil {
			return Kept{}, err
		}
	}
	return f.Kept, nil
}

func (r *Record) check() error {
	if r.Slot != "a" && r.Slot != "b" {
		return fmt.Errorf("slot %q", r.Slot)
	}
	if r.Tries < 0 || r.Unexplained < 0 || r.NeedS < 0 || r.NeedS > maxNeedS {
		return fmt.Errorf("%d tries, %d unexplained, %d s to hold", r.Tries, r.Unexplained, r.NeedS)
	}
	if _, err := health.ParseRung(string(r.RungBefore)); err != nil {
		return err
	}
	return nil
}

// Save replaces the file, and returns once it lasts.
func Save(path string, k Kept) error {
	b, err := json.Marshal(file{format, k})
	if err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	return atomicfile.ReplaceDurably(path, 0o600, atomicfile.Bytes(append(b, '\n')))
}
