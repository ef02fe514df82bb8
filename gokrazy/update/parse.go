// Reading a manifest. Its signature was right, so what is wrong here is a mistake of whoever made
// it, or a key in foreign hands: both must not reach a slot.

package update

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// ParseManifest reads a manifest, whose signature the caller has verified (but for the factory's).
//
// The format says what a reader must know. Within a format a manifest may have keys that this version
// does not know, and they are ignored: a later version may add what an earlier one can do without, and
// boards that run the earlier one still take it. What must not be ignored raises the format, and a
// higher format is refused in words (ErrFormat). A key that is there twice, or in capital letters, is
// refused: two readers could take it differently. Everything else that is wrong is ErrManifest.
func ParseManifest(raw []byte) (Manifest, error) {
	if len(raw) > MaxManifest {
		return Manifest{}, fmt.Errorf("%w: longer than %d bytes", ErrManifest, MaxManifest)
	}
	if err := checkKeys(raw); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	var head struct {
		Format int64 `json:"format"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	switch {
	case head.Format > Format:
		return Manifest{}, fmt.Errorf("%w: %d, this version reads up to %d: install a version in between first",
			ErrFormat, head.Format, Format)
	case head.Format < 1:
		return Manifest{}, fmt.Errorf("%w: format %d", ErrManifest, head.Format)
	}
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if err := m.check(); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	return m, nil
}

var (
	boardName   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	versionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)
	sha256Text  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// maxIndex is the end of the year 9999, in seconds: an index of more is a mistake, after which no
// update would ever be newer.
const maxIndex = 253402300799

// check refuses values that no slot can have.
func (m Manifest) check() error {
	switch {
	case !boardName.MatchString(m.Board):
		return fmt.Errorf("board %q", m.Board)
	case !versionName.MatchString(m.Version):
		return fmt.Errorf("version %q: letters, digits, . _ + - only, at most 64", m.Version)
	case m.Index < 1 || m.Index > maxIndex:
		return fmt.Errorf("index %d: not a time in seconds", m.Index)
	case m.TrialS < 1 || m.TrialS > 3600:
		return fmt.Errorf("trial_s %d: not within 1 and 3600", m.TrialS)
	case m.MinimumLayout < 0:
		return fmt.Errorf("minimum_layout %d", m.MinimumLayout)
	case len(m.Keys) > MaxKeys:
		return fmt.Errorf("%d keys, at most %d", len(m.Keys), MaxKeys)
	case len(m.Parts) > MaxParts:
		return fmt.Errorf("%d parts, at most %d", len(m.Parts), MaxParts)
	}
	for _, k := range m.Keys {
		if err := CheckKey(k); err != nil {
			return err
		}
	}
	return checkParts(m.Parts)
}

// checkParts looks at each size before it is added: no sum can overflow.
func checkParts(parts []Part) error {
	var names partNames
	sizes := map[string]int64{}
	boot := int64(0)
	for _, p := range parts {
		if err := names.add(p.Name); err != nil {
			return fmt.Errorf("part %q: %w", p.Name, err)
		}
		limit := int64(MaxBoot)
		if p.Name == RootName {
			limit = MaxRoot
		}
		switch size, seen := sizes[p.SHA256]; {
		case !sha256Text.MatchString(p.SHA256):
			return fmt.Errorf("part %q: sha256 %q", p.Name, p.SHA256)
		case p.Size < 0 || p.Size > limit || p.Size == 0 && p.Name == RootName:
			return fmt.Errorf("part %q: %d bytes, at most %d", p.Name, p.Size, limit)
		case seen && size != p.Size:
			return fmt.Errorf("part %q: %d bytes, and %d elsewhere with the same sha256", p.Name, p.Size, size)
		}
		sizes[p.SHA256] = p.Size
		if p.Name != RootName {
			boot += (p.Size + cluster - 1) / cluster * cluster
		}
	}
	switch {
	case !names.taken[RootName]:
		return errors.New("no root")
	case boot > MaxBoot:
		return fmt.Errorf("files of the boot partition: %d bytes, at most %d", boot, int64(MaxBoot))
	}
	return names.checkFolders()
}

// manifestKeys are those of Manifest and Part.
var manifestKeys = []string{
	"format", "board", "version", "index", "trial_s", "minimum_layout", "keys", "parts", "name", "size", "sha256",
}

// checkKeys refuses a key that an object has twice, and one that is a known key but for its
// capitals: encoding/json would take both, another reader only one.
func checkKeys(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	var objects []map[string]bool // nil for an array
	expectKey := false
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil // whether the document is whole, Unmarshal says
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{':
				objects = append(objects, map[string]bool{})
			case '[':
				objects = append(objects, nil)
			default:
				objects = objects[:len(objects)-1]
			}
			if len(objects) > maxDepth {
				return fmt.Errorf("more than %d levels", maxDepth)
			}
			expectKey = inObject(objects)
			continue
		case string:
			if expectKey {
				if err := checkKey(objects[len(objects)-1], t); err != nil {
					return err
				}
				expectKey = false
				continue
			}
		}
		expectKey = inObject(objects)
	}
}

// maxDepth is above what a manifest has: 3.
const maxDepth = 8

func inObject(objects []map[string]bool) bool {
	return len(objects) > 0 && objects[len(objects)-1] != nil
}

func checkKey(seen map[string]bool, key string) error {
	if seen[key] {
		return fmt.Errorf("key %q is there twice", key)
	}
	seen[key] = true
	for _, known := range manifestKeys {
		if key != known && strings.EqualFold(key, known) {
			return fmt.Errorf("key %q: it is written %s", key, known)
		}
	}
	return nil
}
