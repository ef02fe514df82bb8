// The boot partition as boot firmware sees it: damage in a folder that it does not look into, such as
// half a slot that a power cut left, does not disturb it.

package pifirmware

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// OpenBoot opens the boot partition of an image or a card of size bytes. A folder that is damaged is
// not there.
func OpenBoot(r io.ReaderAt, size int64) (fs.FS, error) {
	table, err := disk.ReadPrimaryTable(r, size)
	if err != nil {
		return nil, err
	}
	p := table.Partitions[card.Boot]
	partition := io.NewSectionReader(r, p.Start, p.Size)
	whole, err := disk.OpenFAT(partition, p.Size)
	if err == nil {
		return whole, nil
	}
	top, err := disk.OpenFATFolders(partition, p.Size)
	if err != nil {
		return nil, fmt.Errorf("boot partition: %w", err)
	}
	boot := parts{"": top}
	for _, name := range []string{card.SlotA, card.SlotB, "overlays"} {
		if one, err := disk.OpenFATFolders(partition, p.Size, name); err == nil {
			boot[name] = one
		}
	}
	return boot, nil
}

// parts are views of one file system by the folder of its root that each can read; "" is the root.
type parts map[string]*disk.FAT

// Open implements fs.FS.
func (p parts) Open(name string) (fs.File, error) {
	folder, _, below := strings.Cut(name, "/")
	if !below {
		folder = ""
	}
	view, ok := p[folder]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return view.Open(name)
}

// Stat implements fs.StatFS.
func (p parts) Stat(name string) (fs.FileInfo, error) {
	f, err := p.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	return info, errors.Join(err, f.Close())
}
