// The list of where kernel, modules and boot firmware of an image come from, compared
// with the files that it names.

package inspect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// maxProvenance is for 400 files of 150 bytes each, and as much again.
const maxProvenance = 1 << 20

// Provenance reads the list in the image at the beginning of r, an image or a card of
// size bytes, and compares each file with it. A file that differs is no error: an
// owner may have changed it, and then the list does not say where its source is.
func Provenance(ctx context.Context, r io.ReaderAt, size int64) (card.Provenance, error) {
	boot, _, err := card.OpenBoot(r, size)
	if err != nil {
		return card.Provenance{}, err
	}
	list, err := card.ReadFile(boot, card.SourcesName, maxProvenance)
	if err != nil {
		return card.Provenance{}, err
	}
	var out card.Provenance
	if err := json.Unmarshal(list, &out); err != nil {
		return card.Provenance{}, fmt.Errorf("%s: %w", card.SourcesName, err)
	}
	look := fileReader{left: maxCompared, r: r, boot: boot, root: activeRoot(r, size, boot)}
	for i := range out.Parts {
		for j := range out.Parts[i].Files {
			if err := ctx.Err(); err != nil {
				return card.Provenance{}, err
			}
			f := &out.Parts[i].Files[j]
			f.State = look.compareFile(*f)
			if look.left < 0 {
				return card.Provenance{}, fmt.Errorf("%s: names files of more than %d bytes together: %w",
					card.SourcesName, int64(maxCompared), disk.ErrDamaged)
			}
		}
	}
	return out, nil
}

// maxCompared is how much is read for a list: all files of an image have 200 MB.
const maxCompared = 2 << 30

// fileReader finds the files of a list in an image.
type fileReader struct {
	left int64 // bytes that may still be read
	r    io.ReaderAt
	boot fs.FS
	root fs.FS // nil: cannot be read
}

func (s *fileReader) compareFile(f card.File) card.FileState {
	where, name, _ := strings.Cut(f.Path, ":")
	var b []byte
	err := fs.ErrNotExist
	switch where {
	case card.InInitrd:
		return card.FileInside
	case card.InBoot:
		b, err = card.ReadFile(s.boot, name, maxKernel)
	case card.InRoot:
		if s.root != nil {
			b, err = card.ReadFile(s.root, name, maxKernel)
		}
	case card.InSectors:
		b, err = s.readSectors(name, f.Size)
	}
	if err != nil {
		return card.FileMissing
	}
	s.left -= int64(len(b)) + 1
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != f.SHA256 {
		return card.FileDiffers
	}
	return card.FileSame
}

// readSectors reads up to the first partition only.
func (s *fileReader) readSectors(name string, size int64) ([]byte, error) {
	sector, _, _ := strings.Cut(name, "/")
	n, err := strconv.ParseInt(sector, 10, 32)
	if err != nil || n < 0 || size < 0 || size > card.BootStart-n*disk.SectorSize {
		return nil, fmt.Errorf("sector %q, %d bytes: %w", sector, size, errors.Join(err, disk.ErrDamaged))
	}
	b := make([]byte, size)
	if _, err := s.r.ReadAt(b, n*disk.SectorSize); err != nil {
		return nil, err
	}
	return b, nil
}

// activeRoot opens the root that the command line names, nil if there is none.
func activeRoot(r io.ReaderAt, size int64, boot fs.FS) fs.FS {
	line, err := card.ReadFile(boot, card.CmdlineName, maxText)
	if err != nil {
		return nil
	}
	table, err := disk.ReadTable(r, size)
	if err != nil || len(table.Partitions) != card.Partitions {
		return nil
	}
	at := card.RootA
	if m := rootArgument.FindSubmatch(line); m != nil && string(m[2]) == "2" {
		at = card.RootB
	}
	p := table.Partitions[at]
	root, err := disk.OpenSquashFS(io.NewSectionReader(r, p.Start, p.Size), p.Size)
	if err != nil {
		return nil
	}
	return root
}

// Defaults gives the krazycam.json of the active root, over which a seed counts; nil if there is
// none, or no root that can be read.
func Defaults(r io.ReaderAt, size int64) []byte {
	boot, _, err := card.OpenBoot(r, size)
	if err != nil {
		return nil
	}
	root := activeRoot(r, size, boot)
	if root == nil {
		return nil
	}
	b, err := card.ReadFile(root, config.ImageDefaults[1:], config.MaxBytes)
	if err != nil {
		return nil
	}
	return b
}
