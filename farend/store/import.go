// The utilization ids of earlier versions, which kept them in a file: boards keep their ids.

package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// idsFileMax is what such a file had at most, in bytes: 1000 ids, each with a line of 200, twice.
const idsFileMax = 4 << 20

// importedSetting is the setting that says that the file was imported, and how many ids it had.
const importedSetting = "imported_ids"

// An oldID is one line of the file. A later line about an id replaces the earlier.
type oldID struct {
	ID      wire.ID `json:"id"`
	KeyHash string  `json:"key_sha256"`
	Made    int64   `json:"made"` // s since 1970
	Used    int64   `json:"used"` // 0: never
}

// ImportIDs takes the ids of a file utilization_ids.json, once in the life of a database, and says how
// many. Ids whose key is no customer's stay out: nothing could be done with them, so call it after the
// customers were added. A file that is not there is none.
func (s *Store) ImportIDs(ctx context.Context, path string) (int, error) {
	b, err := openfile.Read(path, idsFileMax)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("store: import ids: %w", err)
	}
	all, err := parseIDs(b)
	if err != nil {
		return 0, fmt.Errorf("store: import ids: %s: %w", path, err)
	}
	n := 0
	err = s.lasting(ctx, "import ids", func(ctx context.Context, tx *sql.Tx) error {
		n, err = importIDs(ctx, tx, all)
		return err
	})
	return n, err
}

func importIDs(ctx context.Context, tx *sql.Tx, all []oldID) (int, error) {
	if _, err := row(ctx, tx, text, getSetting, importedSetting); !errors.Is(err, ErrUnknown) {
		return 0, err // done, or failed
	}
	n := 0
	for _, one := range all {
		if idText(one.ID) == "" {
			continue
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO sources (`+sourceColumns+`)
			SELECT CAST($1 AS TEXT), id, '', enabled, CAST($2 AS BIGINT), CAST($3 AS BIGINT), '{}', 0
			FROM customers WHERE key_hash = $4 ON CONFLICT (id) DO NOTHING`,
			idText(one.ID), microsOfSeconds(one.Made), microsOfSeconds(one.Used), storable(one.KeyHash))
		if err != nil {
			return 0, err
		}
		added, err := r.RowsAffected()
		if err != nil {
			return 0, err
		}
		n += int(added)
	}
	return n, execOne(ctx, tx, nil, setSetting, importedSetting, strconv.Itoa(n))
}

// microsOfSeconds takes what the file has; a second before 1970 or far from now counts as none.
func microsOfSeconds(s int64) int64 {
	if s <= 0 || s > time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).Unix() {
		return 0
	}
	return s * 1_000_000
}

// parseIDs reads lines of one id each, or the one list that still earlier versions wrote. A power cut may
// have left a part of a line, or zeros, at the end.
func parseIDs(b []byte) ([]oldID, error) {
	b = bytes.TrimRight(bytes.TrimLeft(b, " \r\n"), "\x00")
	var all []oldID
	if len(b) > 0 && b[0] == '[' {
		err := json.Unmarshal(b, &all)
		return all, err
	}
	place := map[wire.ID]int{}
	for n := 1; len(b) > 0; n++ {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		var one oldID
		if err := json.Unmarshal(line, &one); err != nil {
			if whole || n == 1 {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			break
		}
		if i, known := place[one.ID]; known {
			all[i] = one
		} else {
			place[one.ID] = len(all)
			all = append(all, one)
		}
		b = rest
	}
	return all, nil
}
