// A version in an image: what was tested there is what a bundle ships.

package update

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// An Image is slot a of an image, as its manifest lists it.
type Image struct {
	Manifest Manifest
	files    fs.FS // of the slot's folder
	root     io.ReaderAt
}

// ReadImage reads the manifest of slot a of an image of size bytes, which stays open as long as the
// Image is used. It refuses a slot with files that the manifest does not list; whoever reads the
// parts checks them.
func ReadImage(r io.ReaderAt, size int64) (*Image, error) {
	table, err := disk.ReadTable(r, size)
	if err != nil {
		return nil, err
	}
	if len(table.Partitions) != card.Partitions {
		return nil, fmt.Errorf("%d partitions: %w", len(table.Partitions), disk.ErrDamaged)
	}
	boot, _, err := card.OpenBoot(r, size)
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(boot, card.SlotA)
	if err != nil {
		return nil, err
	}
	raw, err := card.ReadFile(files, ManifestName, MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("slot a: %w: it has no %s: make the image anew", ErrManifest, ManifestName)
	}
	if err != nil {
		return nil, fmt.Errorf("slot a: %w", err)
	}
	root := table.Partitions[card.RootA]
	i := &Image{files: files, root: io.NewSectionReader(r, root.Start, root.Size)}
	if i.Manifest, err = ParseManifest(raw); err != nil {
		return nil, fmt.Errorf("slot a: %w", err)
	}
	return i, i.checkFiles()
}

// checkFiles looks for files that the manifest does not list, or not with their size: their
// beginning may be what it says.
func (i *Image) checkFiles() error {
	listed := map[string]int64{}
	for _, p := range i.Manifest.Parts {
		listed[p.Path()] = p.Size
	}
	return fs.WalkDir(i.files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == ManifestName || name == SignatureName {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch size, ok := listed[name]; {
		case !ok:
			return fmt.Errorf("slot a: %w: it does not list %q", ErrManifest, name)
		case size != info.Size():
			return fmt.Errorf("slot a: %w: %q has %d bytes, it says %d", ErrManifest, name, info.Size(), size)
		}
		return nil
	})
}

// Open gives the bytes of a part, as WriteBundle wants them.
func (i *Image) Open(p Part) (io.ReadCloser, error) {
	if p.Name == RootName {
		return io.NopCloser(io.NewSectionReader(i.root, 0, p.Size)), nil
	}
	return i.files.Open(p.Path())
}
