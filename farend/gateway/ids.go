// The utilization ids that were given out, with the key each belongs to. They
// outlive a restart, so that a board need not ask anew.

package gateway

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// maxIDs bounds the file: a board keeps its id, so a thousand are years of boards,
// or a source with a defect that asks for one after the other.
const maxIDs = 1000

type issued struct {
	ID  wire.ID `json:"id"`
	Key string  `json:"key_sha256"`
}

type ids struct {
	path string // "": in memory only
	list []issued
}

func loadIDs(dir string) (*ids, error) {
	if dir == "" {
		return &ids{}, nil
	}
	known := &ids{path: filepath.Join(dir, "utilization_ids.json")}
	b, err := os.ReadFile(known.path)
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &known.list)
	}
	if err != nil {
		return nil, fmt.Errorf("utilization ids: %s: %w", known.path, err)
	}
	return known, nil
}

// create makes an id that nobody can guess, since it alone stops a stream.
func (k *ids) create(key string) (wire.ID, error) {
	list := append(k.list[max(0, len(k.list)-maxIDs+1):], issued{wire.TextID(rand.Text()), key})
	if k.path != "" {
		b, err := json.MarshalIndent(list, "", " ")
		if err == nil {
			err = atomicfile.Replace(k.path, 0o600, atomicfile.Bytes(b))
		}
		if err != nil {
			return wire.ID{}, fmt.Errorf("save %s: %w", k.path, err)
		}
	}
	k.list = list
	return list[len(list)-1].ID, nil
}

// keyOf gives the hash of the key for which id was made.
func (k *ids) keyOf(id wire.ID) (key string, known bool) {
	for _, one := range k.list {
		if one.ID == id {
			return one.Key, true
		}
	}
	return "", false
}
