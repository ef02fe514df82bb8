// Where the utilization id outlives a power cut.

package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// A Store keeps one ID. Session calls Save only when the ID changed: flash wears.
type Store interface {
	Load() (wire.ID, error) // the zero ID if none was saved
	Save(wire.ID) error
}

// FileStore keeps the ID in Dir, in the file utilization_id, as the JSON literal that the gateway
// sent. Dir must exist.
type FileStore struct{ Dir string }

// maxIDFile is the most bytes that are read: an ID has 512 at most (wire.ID), and blanks around it
// do no harm.
const maxIDFile = 4 << 10

func (f FileStore) filePath() string { return filepath.Join(f.Dir, "utilization_id") }

// Load reads the file; a missing one is no error.
func (f FileStore) Load() (wire.ID, error) {
	b, err := openfile.Read(f.filePath(), maxIDFile)
	if errors.Is(err, fs.ErrNotExist) {
		return wire.ID{}, nil
	}
	if err != nil {
		return wire.ID{}, fmt.Errorf("utilization id: %w", err)
	}
	var id wire.ID
	if err := json.Unmarshal(b, &id); err != nil {
		return wire.ID{}, fmt.Errorf("utilization id: %s: %w", f.filePath(), err)
	}
	return id, nil
}

// Save replaces the file in one step: a power cut leaves the old or the new ID.
func (f FileStore) Save(id wire.ID) error {
	b, err := json.Marshal(id)
	if err == nil {
		err = atomicfile.ReplaceDurably(f.filePath(), 0o600, atomicfile.Bytes(b))
	}
	if err != nil {
		return fmt.Errorf("utilization id: save: %w", err)
	}
	return nil
}
