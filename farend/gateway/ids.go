// The utilization ids that were given out, with the key that each belongs to. They outlive a
// restart, so that a board need not ask for a new one.

package gateway

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// idsMax bounds the file: a board keeps its id, so a thousand are years of boards, or a source
// with a defect that asks for one after the other.
const idsMax = 1000

// maxIDsFile is 1000 ids of 130 bytes each, and many times that.
const maxIDsFile = 4 << 20

// issued is one id as the file has it.
type issued struct {
	ID      wire.ID `json:"id"`
	KeyHash string  `json:"key_sha256"`
}

// ids are all that are known.
type ids struct {
	path string // "": in memory only
	list []issued
}

func loadIDs(dir string) (*ids, error) {
	if dir == "" {
		return &ids{}, nil
	}
	known := &ids{path: filepath.Join(dir, "utilization_ids.json")}
	b, err := openfile.Read(known.path, maxIDsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err != nil {
		return nil, fmt.Errorf("utilization ids: %w", err)
	}
	if err := json.Unmarshal(b, &known.list); err != nil {
		return nil, fmt.Errorf("utilization ids: %s: %w", known.path, err)
	}
	return known, nil
}

// createID makes an id that nobody can guess, since it alone stops a stream.
func (k *ids) createID(keyHash string) (wire.ID, error) {
	list := append(k.list[max(0, len(k.list)-idsMax+1):], issued{wire.TextID(rand.Text()), keyHash})
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

// keyHashOf gives the hash of the key for which id was made.
func (k *ids) keyHashOf(id wire.ID) (keyHash string, known bool) {
	for _, one := range k.list {
		if one.ID == id {
			return one.KeyHash, true
		}
	}
	return "", false
}
