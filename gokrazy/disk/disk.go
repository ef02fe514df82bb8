// Package disk writes and reads what is on a card: partition tables, FAT16 and
// squashfs. Bytes in a file, no policy: which files and partitions a board needs
// is decided in packages image and card.
//
// Everything written here is a function of its input alone: no clock, no random
// number, no order of a map, so that one commit gives one image. Everything read
// here may come from a stranger: sizes, counts and depths have limits, and a
// reader never allocates what a header merely claims.
//
// The package owns no goroutine and no file. Offsets and sizes are in bytes,
// except where a field of an on-disk format counts sectors or clusters.
//
// Sources: UEFI specification 2.10 chapter 5 (GPT), Microsoft's "FAT: General
// Overview of On-Disk Format" 1.03 (FAT16, long names), the Linux kernel's
// fs/squashfs/squashfs_fs.h (squashfs 4.0).
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// SectorSize is the only logical sector size of SD cards, in bytes.
const SectorSize = 512

// ErrDamaged is wrapped by every error about bytes that are not what the format
// allows. The text before it says where.
var ErrDamaged = errors.New("damaged or not of this format")

// An Entry is one file, folder or symbolic link to write. Folders above an entry
// need no entry of their own.
type Entry struct {
	Path   string      // slash-separated, relative, clean: "overlays/dwc2.dtbo"
	Mode   fs.FileMode // type and permission bits; 0 is a plain file with 0444
	Target string      // of a symbolic link
	Bytes  []byte      // of a plain file; not copied and not changed
}

const (
	plainMode  fs.FileMode = 0o444
	folderMode             = fs.ModeDir | 0o755
)

// arrangeEntries checks the paths, adds the folders that are missing and sorts: a
// folder comes before what is in it.
func arrangeEntries(entries []Entry) ([]Entry, error) {
	byPath := make(map[string]Entry, len(entries))
	for _, e := range entries {
		if e.Path == "." || !fs.ValidPath(e.Path) {
			return nil, fmt.Errorf("entry %q: not a clean relative path", e.Path)
		}
		if _, twice := byPath[e.Path]; twice {
			return nil, fmt.Errorf("entry %q: given twice", e.Path)
		}
		if e.Mode == 0 {
			e.Mode = plainMode
		}
		byPath[e.Path] = e
	}
	for _, e := range entries {
		for d := path.Dir(e.Path); d != "."; d = path.Dir(d) {
			above, known := byPath[d]
			if known && !above.Mode.IsDir() {
				return nil, fmt.Errorf("entry %q: %q above it is not a folder", e.Path, d)
			}
			if !known {
				byPath[d] = Entry{Path: d, Mode: folderMode}
			}
		}
	}
	sorted := make([]Entry, 0, len(byPath))
	for _, e := range byPath {
		sorted = append(sorted, e)
	}
	// Component by component: "a/b" comes before "a.b" then, next to its folder.
	slices.SortFunc(sorted, func(a, b Entry) int {
		return slices.Compare(strings.Split(a.Path, "/"), strings.Split(b.Path, "/"))
	})
	return sorted, nil
}
