// What starts the kernel of an image.

package inspect

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/uboot"
)

// maxScript is more than any boot script.
const maxScript = 64 << 10

// A RawLoader is a loader that lies outside any partition. Its length is that of the
// list of sources; where that has none, Size ends with the last byte that is not zero.
type RawLoader struct {
	Name   string `json:"name"`
	Sector int64  `json:"sector"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // of these bytes
	Empty  bool   `json:"empty"`  // nothing but zeros
}

// addLoader finds out which loader the boot partition is made for. A Pi's has a script for U-Boot, too.
func (r *Report) addLoader(boot fs.FS) error {
	r.Loader = board.UBoot
	if _, err := fs.Stat(boot, card.ConfigName); err == nil {
		r.Loader = board.PiFirmware
	}
	script, err := card.ReadFile(boot, card.BootScriptName, maxScript)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !uboot.IsScript(script) {
		r.addProblem("%s is none for U-Boot, or damaged", card.BootScriptName)
	}
	if _, err := fs.Stat(boot, card.UBootName); err != nil && r.Loader == board.PiFirmware {
		r.addProblem("%s is missing: a Pi 3 or Zero 2 W would not start", card.UBootName)
	}
	return nil
}

// addRaw looks where the board's loaders belong.
func (r *Report) addRaw(image io.ReaderAt, boot fs.FS) error {
	b, err := board.ByName(r.Board)
	if err != nil {
		return nil // findProblems reports it
	}
	var list card.Provenance
	if text, err := card.ReadFile(boot, card.SourcesName, maxProvenance); err == nil {
		// A list that cannot be read is the affair of Provenance, not of a boot.
		_ = json.Unmarshal(text, &list)
	}
	end := int64(card.BootStart)
	for _, raw := range slices.Backward(b.Raw) {
		start := raw.Sector * disk.SectorSize
		loader := make([]byte, end-start)
		if _, err := image.ReadAt(loader, start); err != nil {
			return fmt.Errorf("sector %d: %w", raw.Sector, err)
		}
		end = start
		loader = loader[:max(len(bytes.TrimRight(loader, "\x00")), loaderSize(list, raw, len(loader)))]
		sum := sha256.Sum256(loader)
		empty := len(bytes.TrimRight(loader, "\x00")) == 0
		r.Raw = append(r.Raw, RawLoader{raw.Name, raw.Sector, int64(len(loader)), hex.EncodeToString(sum[:]), empty})
	}
	slices.Reverse(r.Raw)
	return nil
}

// loaderSize is what the list of sources says, 0 if it says nothing that can be.
func loaderSize(list card.Provenance, raw board.Raw, most int) int {
	f := listedFile(list, card.SectorPath(raw.Sector, raw.Name))
	if f.Size > 0 && f.Size <= int64(most) {
		return int(f.Size)
	}
	return 0
}

// findLoaderProblems looks for a boot partition of another kind, and for loaders that are
// not there.
func (r *Report) findLoaderProblems(b board.Board) {
	if r.Loader != b.Loader {
		r.addProblem("the boot partition is made for %s, board %s has %s", r.Loader, b.Name, b.Loader)
	}
	for _, raw := range r.Raw {
		if raw.Empty {
			r.addProblem("sector %d is empty: no %s", raw.Sector, raw.Name)
		}
	}
}
