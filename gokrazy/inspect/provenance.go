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
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// maxProvenance is for 400 files of 150 bytes each, and as much again.
const maxProvenance = 1 << 20

// Provenance reads the lists of the image at the beginning of r, an image or a card of size bytes: of
// what lies beside the slots, then of each slot that there is. It compares each file with its list. A
// file that differs is no error: an owner may have changed it, and then the list does not say where its
// source is. Board and release are the promoted slot's.
func Provenance(ctx context.Context, r io.ReaderAt, size int64) (card.Provenance, error) {
	table, err := readTable(r, size)
	if err != nil {
		return card.Provenance{}, err
	}
	folders := []string{card.LicenceFolder, "overlays"}
	boot, err := openBoot(r, table, folders...)
	if err != nil {
		return card.Provenance{}, err
	}
	look := fileReader{left: maxCompared, r: r, boot: boot}
	out, err := look.compareList(ctx, boot, "")
	if err != nil {
		return card.Provenance{}, err
	}
	promoted := promotedSlot(r, size, boot)
	for _, name := range []slot.Name{slot.A, slot.B} {
		if _, err := fs.Stat(boot, name.Folder()); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		list, err := look.compareSlot(ctx, table, name)
		if err != nil {
			return card.Provenance{}, fmt.Errorf("slot %s: %w", name, err)
		}
		if name == promoted {
			out.Board, out.Release = list.Board, list.Release
		}
		out.Parts = append(out.Parts, list.Parts...)
	}
	return out, nil
}

// compareSlot reads the list of a slot. A slot without one, as a power cut may leave it, has none.
func (s *fileReader) compareSlot(ctx context.Context, t disk.Table, name slot.Name) (card.Provenance, error) {
	boot, err := openBoot(s.r, t, name.Folder())
	if err != nil {
		return card.Provenance{}, err
	}
	if s.slot, err = fs.Sub(boot, name.Folder()); err != nil {
		return card.Provenance{}, err
	}
	s.root = openRoot(s.r, t, name)
	list, err := s.compareList(ctx, s.slot, name)
	if errors.Is(err, fs.ErrNotExist) {
		return card.Provenance{}, nil
	}
	return list, err
}

// compareList reads the list in a folder and looks at each of its files.
func (s *fileReader) compareList(ctx context.Context, folder fs.FS, name slot.Name) (out card.Provenance, err error) {
	list, err := card.ReadFile(folder, card.SourcesName, maxProvenance)
	if err != nil {
		return card.Provenance{}, err
	}
	if err := json.Unmarshal(list, &out); err != nil {
		return card.Provenance{}, fmt.Errorf("%s: %w", card.SourcesName, err)
	}
	for i := range out.Parts {
		out.Parts[i].Slot = string(name)
		for j := range out.Parts[i].Files {
			if err := ctx.Err(); err != nil {
				return card.Provenance{}, err
			}
			f := &out.Parts[i].Files[j]
			f.State = s.compareFile(*f)
			if s.left < 0 {
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
	boot fs.FS // beside the slots
	slot fs.FS // folder of the slot that the list lies in; nil: beside the slots
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
	case card.InSlot:
		if s.slot != nil {
			b, err = card.ReadFile(s.slot, name, maxKernel)
		}
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

// readTable reads the partition table of an image of ours.
func readTable(r io.ReaderAt, size int64) (disk.Table, error) {
	table, err := disk.ReadTable(r, size)
	if err != nil {
		return disk.Table{}, err
	}
	if len(table.Partitions) != card.Partitions {
		return disk.Table{}, fmt.Errorf("%d partitions, an image of ours has %d: %w",
			len(table.Partitions), card.Partitions, disk.ErrDamaged)
	}
	return table, limitTable(table)
}

// promotedSlot is the slot that starts without a trial, none if nothing says so.
func promotedSlot(r io.ReaderAt, size int64, boot fs.FS) slot.Name {
	var report Report
	if err := report.addLoader(boot); err != nil {
		return slot.None
	}
	report.addPointers(r, size)
	return report.promoted()
}

// openRoot opens the root of a slot, nil if there is none.
func openRoot(r io.ReaderAt, t disk.Table, name slot.Name) fs.FS {
	if !name.Valid() {
		return nil
	}
	p := t.Partitions[name.RootPartition()-1]
	root, err := disk.OpenSquashFS(io.NewSectionReader(r, p.Start, p.Size), p.Size)
	if err != nil {
		return nil
	}
	return root
}

// Defaults gives the krazycam.json of the promoted root, over which a seed counts; nil if there is
// none, or no root that can be read.
func Defaults(r io.ReaderAt, size int64) []byte {
	table, err := readTable(r, size)
	if err != nil {
		return nil
	}
	boot, err := openBoot(r, table)
	if err != nil {
		return nil
	}
	root := openRoot(r, table, promotedSlot(r, size, boot))
	if root == nil {
		return nil
	}
	b, err := card.ReadFile(root, config.ImageDefaults[1:], config.MaxBytes)
	if err != nil {
		return nil
	}
	return b
}
