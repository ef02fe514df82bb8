// The factory's manifest, in slot a of every image: what the slot holds, which version it is, and
// who may sign what follows. Nobody signs it: whoever makes the image makes the card.

package image

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/update"
)

const (
	// versionProgram says which version an image is.
	versionProgram = "gokrazy/init"
	// unknownVersion and unknownIndex are those of programs that were built outside of a
	// repository: scripts/build gives them the same.
	unknownVersion = "unknown"
	unknownIndex   = 1767225600
	// revisionDigits are as many as git describe is asked for in scripts/build.
	revisionDigits = 12
)

// factoryManifest is the manifest for slot a with these files of the boot partition and this root.
func factoryManifest(b board.Board, p Parts, m material, boot []disk.Entry, root []byte) (disk.Entry, error) {
	version, index := m.version()
	if p.Version != "" {
		version = p.Version
	}
	if p.Index != 0 {
		index = p.Index
	}
	manifest := update.Manifest{
		Format: update.Format, Board: b.Name, Version: version, Index: index, TrialS: update.DefaultTrialS,
		MinimumLayout: slot.Layout, Keys: p.UpdateKeys,
	}
	for _, e := range boot {
		if name, ok := strings.CutPrefix(e.Path, card.SlotA+"/"); ok {
			manifest.Parts = append(manifest.Parts, part(update.BootPrefix+name, e.Bytes))
		}
	}
	slices.SortFunc(manifest.Parts, func(a, b update.Part) int { return strings.Compare(a.Name, b.Name) })
	manifest.Parts = append(manifest.Parts, part(update.RootName, root)) // last: the largest
	raw, err := manifest.Encode()
	return disk.Entry{Path: path.Join(card.SlotA, card.ManifestName), Bytes: raw}, err
}

func part(name string, b []byte) update.Part {
	sum := sha256.Sum256(b)
	return update.Part{Name: name, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}
}

var plainRevision = regexp.MustCompile(`^[0-9a-f]{40,64}$`)

// version is that of the commit that init was built from: its beginning, and its time.
func (m material) version() (version string, index int64) {
	version, index = unknownVersion, unknownIndex
	i := slices.IndexFunc(m.about, func(p Program) bool { return p.Path == versionProgram })
	if i < 0 {
		return version, index
	}
	p := m.about[i]
	if plainRevision.MatchString(p.Version) {
		version = p.Version[:revisionDigits]
		if p.modified {
			version += "-dirty"
		}
	}
	if !p.committed.IsZero() {
		index = p.committed.Unix()
	}
	return version, index
}
