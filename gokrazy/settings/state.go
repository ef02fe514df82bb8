// Files of state: JSON with the number of its format.

package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// format is that of all files of state which this version writes. A version that changes one counts
// it up, reads both, and writes the old one until it is promoted: the version before may come back.
const format = 1

// maxState bounds a file of state: those who are left behind are settings.
const maxState = 256 << 10

// errNewer says that a newer version wrote a file. It counts as missing and is not written over.
var errNewer = errors.New("written by a newer version")

// readState reads the state at path into v, a pointer to a struct with state in it. A file that is
// missing or damaged leaves v as it is, without an error: damage is said by the bool.
func readState(path string, v any) (damaged bool, err error) {
	b, err := openfile.Read(path, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, nil // it cannot be read; the next write replaces it
	}
	var head struct {
		Format int `json:"format"`
	}
	if json.Unmarshal(b, &head) != nil || head.Format < 1 {
		return true, nil
	}
	if head.Format > format {
		return false, fmt.Errorf("%s: format %d, this version knows %d: %w", path, head.Format, format, errNewer)
	}
	return json.Unmarshal(b, v) != nil, nil
}

// writeState replaces the state at path durably, if it changed.
func writeState(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("settings: %s: %w", path, err)
	}
	return writeIfChanged(path, append(b, '\n'))
}
