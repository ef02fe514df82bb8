// What lies between the partition table and the first partition: the loaders of a
// board whose boot ROM counts sectors.

package image

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/uboot"
)

// tableEnd is where the partition table ends: MBR, GPT header and 128 entries of 128
// bytes (UEFI 2.10 section 5.3.2).
const tableEnd = (2 + 128*128/disk.SectorSize) * disk.SectorSize

type rawFile struct {
	name   string
	sector int64
	bytes  []byte
	uBoot  bool // changed by uboot.Unattended
}

// readRaw refuses files that would lie on the table, on each other or on a partition.
func (m *material) readRaw(b board.Board, p Parts) error {
	end := int64(tableEnd)
	for _, r := range b.Raw {
		bytes, err := openfile.Read(filepath.Join(p.Firmware.Folder, r.Name), maxPartBytes)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w boot firmware %s in %s", ErrMissing, r.Name, p.Firmware.Folder)
		}
		if err != nil {
			return err
		}
		start := r.Sector * disk.SectorSize
		if start < end {
			return fmt.Errorf("%s at byte %d: %w: what lies before it ends at %d", r.Name, start, ErrUnfit, end)
		}
		if end = start + int64(len(bytes)); end > card.BootStart {
			return fmt.Errorf("%s of %d bytes at byte %d: %w: the boot partition begins at %d",
				r.Name, len(bytes), start, ErrUnfit, card.BootStart)
		}
		if r.UBoot {
			if bytes, err = uboot.Unattended(bytes, b.BootTargets); err != nil {
				return fmt.Errorf("%s: %w", filepath.Join(p.Firmware.Folder, r.Name), err)
			}
		}
		m.raw = append(m.raw, rawFile{r.Name, r.Sector, bytes, r.UBoot})
	}
	return nil
}
