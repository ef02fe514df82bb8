// The utilization ids that were given out, with the key that each belongs to. They outlive a
// restart, so that a board need not ask for a new one.

package single

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	// idsMax bounds file and memory: a board keeps its id, so a thousand are years of boards, or
	// a source with a defect that asks for one after the other.
	idsMax = 1000

	// Until then an id keeps its place: one that no stream was asked for with yet, and one in use.
	// A board asks for a stream a moment after it got its id.
	unusedIDKeep = time.Minute
	usedIDKeep   = 24 * time.Hour

	// idUseInterval is how often the use of an id is written down, of usedIDKeep.
	idUseInterval = usedIDKeep / 4

	idsSyncInterval = time.Second
	idsFileMax      = 4 << 20 // 40 times what is ever written
	idsLinesMax     = 2 * idsMax
)

var errIDsFull = errors.New("all places for utilization ids are in use")

// issued is one id as a line of the file has it. A later line about an id replaces the earlier.
type issued struct {
	ID      wire.ID `json:"id"`
	KeyHash string  `json:"key_sha256"`
	Made    int64   `json:"made,omitempty"` // s since 1970; 0: by an earlier version
	Used    int64   `json:"used,omitempty"` // when a stream was asked for with it; 0: never

	written int64 // Used, as the file has it
}

// ids are all that are known. The file is appended to, and synced once a second at most: a power
// cut may cost the ids of the last second, whose boards then ask for new ones.
type ids struct {
	path     string // "": in memory only
	list     []issued
	lines    int // in the file
	unsynced bool
	syncedAt time.Time
}

func loadIDs(dir string) (*ids, error) {
	if dir == "" {
		return &ids{}, nil
	}
	k := &ids{path: filepath.Join(dir, "utilization_ids.json")}
	b, err := openfile.Read(k.path, idsFileMax)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, fmt.Errorf("utilization ids: %w", err)
	}
	torn, err := k.parse(b)
	if err == nil && (torn || len(k.list) > idsMax) {
		k.keepLatest()
		err = k.rewrite()
	}
	if err != nil {
		return nil, fmt.Errorf("utilization ids: %s: %w", k.path, err)
	}
	return k, nil
}

// parse reads lines of one id each, or the one list of earlier versions. torn: what stands there
// must be written anew, since it is a list or ends in a part of a line or in zeros (a power cut).
func (k *ids) parse(b []byte) (torn bool, err error) {
	b = bytes.TrimLeft(b, " \r\n")
	if len(b) > 0 && b[0] == '[' {
		return true, json.Unmarshal(b, &k.list)
	}
	if n := len(b); n > 0 && b[n-1] == 0 {
		torn, b = true, bytes.TrimRight(b, "\x00")
	}
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		var one issued
		if err := json.Unmarshal(line, &one); err != nil {
			if whole || k.lines == 0 {
				return false, fmt.Errorf("line %d: %w", k.lines+1, err)
			}
			return true, nil
		}
		one.written = one.Used
		k.put(one)
		b, k.lines = rest, k.lines+1
		torn = torn || !whole
	}
	return torn, nil
}

func (k *ids) put(one issued) {
	if i := k.indexOf(one.ID); i >= 0 {
		k.list[i] = one
		return
	}
	k.list = append(k.list, one)
}

func (k *ids) indexOf(id wire.ID) int {
	return slices.IndexFunc(k.list, func(one issued) bool { return one.ID == id })
}

// keepLatest drops what is beyond idsMax: what was used least lately.
func (k *ids) keepLatest() {
	if len(k.list) > idsMax {
		slices.SortStableFunc(k.list, func(a, b issued) int { return cmp.Compare(b.rank(), a.rank()) })
		k.list = k.list[:idsMax]
	}
}

// rank orders ids for eviction: the lowest first.
func (one issued) rank() int64 {
	if one.Used == 0 {
		return one.Made - 1<<40 // any unused one before all used ones
	}
	return one.Used
}

// createID makes an id that nobody can guess, since it alone stops a stream. running is the id of
// the stream that runs, or none; its place is never taken.
func (k *ids) createID(keyHash string, running wire.ID, now time.Time) (wire.ID, error) {
	evicted := -1
	if len(k.list) >= idsMax {
		if evicted = k.findEvictable(running, now); evicted < 0 {
			return wire.ID{}, errIDsFull
		}
	}
	one := issued{ID: wire.TextID(rand.Text()), KeyHash: keyHash, Made: now.Unix()}
	if err := k.appendLine(one, now); err != nil {
		return wire.ID{}, err
	}
	if evicted >= 0 {
		k.list = slices.Delete(k.list, evicted, evicted+1)
	}
	k.list = append(k.list, one)
	return one.ID, k.compact()
}

// findEvictable finds the id that is needed least, or gives -1 if all are needed.
func (k *ids) findEvictable(running wire.ID, now time.Time) int {
	found := -1
	for i, one := range k.list {
		age, keep := now.Unix()-one.Made, unusedIDKeep
		if one.Used != 0 {
			age, keep = now.Unix()-one.Used, usedIDKeep
		}
		if one.ID == running || age < int64(keep/time.Second) {
			continue
		}
		if found < 0 || one.rank() < k.list[found].rank() {
			found = i
		}
	}
	return found
}

// noteUse notes that a stream was asked for with an id, or runs.
func (k *ids) noteUse(id wire.ID, now time.Time) error {
	i := k.indexOf(id)
	if i < 0 {
		return nil
	}
	one := &k.list[i]
	one.Used = now.Unix()
	if one.Used-one.written < int64(idUseInterval/time.Second) {
		return nil
	}
	one.written = one.Used
	if err := k.appendLine(*one, now); err != nil {
		return err
	}
	return k.compact()
}

// appendLine leaves the file as it was if it cannot write a whole line.
func (k *ids) appendLine(one issued, now time.Time) error {
	if k.path == "" {
		return nil
	}
	line, err := json.Marshal(one)
	if err != nil {
		return fmt.Errorf("save %s: %w", k.path, err)
	}
	f, err := openfile.Append(k.path, 0o600)
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	before, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		if _, err = f.Write(append(line, '\n')); err != nil {
			err = errors.Join(err, f.Truncate(before))
		}
	}
	k.unsynced = true
	if err == nil && now.Sub(k.syncedAt).Abs() >= idsSyncInterval {
		k.unsynced, k.syncedAt = false, now
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	k.lines++
	return nil
}

// syncLate syncs what was written since the last sync.
func (k *ids) syncLate(now time.Time) error {
	if !k.unsynced || now.Sub(k.syncedAt).Abs() < idsSyncInterval {
		return nil
	}
	k.unsynced, k.syncedAt = false, now
	f, err := openfile.Append(k.path, 0o600)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

// compact writes the file anew once half of it is of the past.
func (k *ids) compact() error {
	if k.lines <= idsLinesMax {
		return nil
	}
	return k.rewrite()
}

func (k *ids) rewrite() error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for i := range k.list {
		k.list[i].written = k.list[i].Used
		if err := enc.Encode(k.list[i]); err != nil {
			return fmt.Errorf("save %s: %w", k.path, err)
		}
	}
	if err := atomicfile.Replace(k.path, 0o600, atomicfile.Bytes(b.Bytes())); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	k.lines, k.unsynced = len(k.list), false
	return nil
}

// keyHashOf gives the hash of the key for which id was made.
func (k *ids) keyHashOf(id wire.ID) (keyHash string, known bool) {
	if i := k.indexOf(id); i >= 0 {
		return k.list[i].KeyHash, true
	}
	return "", false
}
