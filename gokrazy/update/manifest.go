// What a manifest says.

package update

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Format is the highest format of a manifest that this version reads.
const Format = 1

// Names in a bundle and in a slot's folder.
const (
	ManifestName  = "manifest.json"
	SignatureName = "manifest.json.minisig"
	RootName      = "root"  // the part that is written to the root's partition
	BootPrefix    = "boot/" // of parts that are files of the slot's folder
)

// DefaultTrialS is how long a new version must do its work before it stays, in seconds.
const DefaultTrialS = 60

// A Manifest says what a slot holds and who may replace it. The zero value permits everything to
// follow it and holds nothing.
type Manifest struct {
	Format        int      `json:"format"`         // see ParseManifest
	Board         string   `json:"board"`          // board.Board.Name
	Version       string   `json:"version"`        // for people and file names
	Index         int64    `json:"index"`          // a higher one is newer: Unix time of the build, in seconds
	TrialS        int      `json:"trial_s"`        // see DefaultTrialS; 1 to 3600
	MinimumLayout int      `json:"minimum_layout"` // of the card
	Keys          []string `json:"keys"`           // public keys that may sign what comes after this version
	Parts         []Part   `json:"parts"`          // the root is one of them
}

// A Part is one file of a slot, as it lies in a bundle.
type Part struct {
	Name   string `json:"name"` // RootName, or BootPrefix and a path below the slot's folder
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // 64 small hexadecimal digits
}

// Encode gives the file for m: the bytes that are signed. The same m gives the same bytes.
func (m Manifest) Encode() ([]byte, error) {
	if m.Keys == nil {
		m.Keys = []string{} // no null in the file
	}
	raw, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	raw = append(raw, '\n')
	if _, err := ParseManifest(raw); err != nil {
		return nil, err // what no board would take
	}
	return raw, nil
}

// Root is the part that is the root.
func (m Manifest) Root() Part {
	i := slices.IndexFunc(m.Parts, func(p Part) bool { return p.Name == RootName })
	if i < 0 {
		return Part{} // none was parsed
	}
	return m.Parts[i]
}

// Path is where the part lies below the slot's folder, "" for the root.
func (p Part) Path() string {
	path, boot := strings.CutPrefix(p.Name, BootPrefix)
	if !boot {
		return ""
	}
	return path
}

// Equal reports whether both say the same.
func (m Manifest) Equal(o Manifest) bool {
	return m.Format == o.Format && m.Board == o.Board && m.Version == o.Version && m.Index == o.Index &&
		m.TrialS == o.TrialS && m.MinimumLayout == o.MinimumLayout &&
		slices.Equal(m.Keys, o.Keys) && slices.Equal(m.Parts, o.Parts)
}

// BundleName is the usual name of the file for m.
func (m Manifest) BundleName() string { return "krazycam-" + m.Version + "-" + m.Board + ".update" }
