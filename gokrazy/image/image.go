// Package image makes an image from a board's description and its parts, and a bill of
// materials beside it.
//
// It runs on the owner's machine, never on a board, needs no root rights and no
// loop devices. An image is a function of its parts: no clock, no random number,
// no name of this machine gets into it. Sizes are in bytes. The package owns the
// files it is asked to make, each under another name until it is whole. Its tests
// need compilers for ARM and file system tools, no emulator.
package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// SBOMSuffix follows the image's name in the name of its bill of materials.
const SBOMSuffix = ".sbom.json"

// A Result describes an image that was made.
type Result struct {
	Image   string `json:"image"` // file
	SBOM    string `json:"sbom"`  // file
	Board   string `json:"board"`
	Size    int64  `json:"size"`   // bytes, holes included
	SHA256  string `json:"sha256"` // of the whole image
	Kernel  string `json:"kernel"` // release
	Root    int64  `json:"root"`   // bytes of the root's squashfs
	Boot    int64  `json:"boot"`   // bytes of the files on the boot partition
	Modules int    `json:"modules"`
	Initrd  int64  `json:"initrd,omitempty"` // bytes of the initramfs, packed
}

// Build makes the image at path, and its bill of materials beside it. Either both
// are whole at the end or neither is there. What it does goes to log.
func Build(ctx context.Context, b board.Board, p Parts, path string, log *slog.Logger) (Result, error) {
	file, sbomFile, err := resultFiles(path)
	if err != nil {
		return Result{}, fmt.Errorf("image: %w", err)
	}
	log.Info("reading parts", "programs", p.Programs, "kernel", p.Kernel.Version, "boot firmware", p.Firmware.Version)
	m, err := readParts(b, p)
	if err != nil {
		return Result{}, fmt.Errorf("image: %w", err)
	}
	sbom, err := billOfMaterials(b, p, m)
	if err != nil {
		return Result{}, fmt.Errorf("image: %w", err)
	}
	sum := sha256.Sum256(sbom)
	log.Info("packing root", "programs", len(m.programs), "kernel", m.release)
	root, err := rootImage(b, m, hex.EncodeToString(sum[:]), card.RootSize)
	if err != nil {
		return Result{}, fmt.Errorf("image: %w", err)
	}
	boot, err := bootEntries(b, p, m)
	if err != nil {
		return Result{}, fmt.Errorf("image: %w", err)
	}
	manifest, err := factoryManifest(b, p, m, boot, root)
	if err != nil {
		return Result{}, fmt.Errorf("image: %w", err)
	}
	boot = append(boot, manifest)
	r := Result{
		Image: path, SBOM: path + SBOMSuffix, Board: b.Name, Size: card.ImageSize, Kernel: m.release,
		Root: int64(len(root)), Modules: m.moduleCount(), Initrd: m.initrd.packedSize(),
	}
	for _, e := range boot {
		r.Boot += int64(len(e.Bytes))
	}
	log.Info("writing", "image", path, "root", r.Root, "boot", r.Boot)
	err = atomicfile.Replace(file, 0o644, func(f *os.File) error {
		if err := writeImage(f, boot, m.raw, root); err != nil {
			return err
		}
		r.SHA256, err = SHA256(ctx, io.NewSectionReader(f, 0, card.ImageSize))
		return err
	})
	if err != nil {
		return Result{}, fmt.Errorf("image: %w", err)
	}
	err = atomicfile.Replace(sbomFile, 0o644, func(f *os.File) error { _, err := f.Write(sbom); return err })
	if err != nil {
		return Result{}, errors.Join(fmt.Errorf("image: %w", err), os.Remove(file))
	}
	return r, nil
}

// resultFiles follows the symbolic links of the image's name, and of its bill's.
func resultFiles(path string) (image, sbom string, err error) {
	if image, err = atomicfile.PlainFile(path); err != nil {
		return "", "", fmt.Errorf("%w (camctl flash writes an image to a card)", err)
	}
	sbom, err = atomicfile.PlainFile(path + SBOMSuffix)
	return image, sbom, err
}

// writeImage fills a new file. Root B stays empty: the first update fills it.
func writeImage(f *os.File, boot []disk.Entry, raw []rawFile, root []byte) error {
	table, err := card.Table()
	if err != nil {
		return err
	}
	if err := f.Truncate(table.Size); err != nil {
		return err
	}
	for _, r := range raw {
		if _, err := f.WriteAt(r.bytes, r.sector*disk.SectorSize); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	state := slot.StateSector(slot.State{Slot: slot.A})
	if _, err := f.WriteAt(state[:], card.StateSector*disk.SectorSize); err != nil {
		return fmt.Errorf("state sector: %w", err)
	}
	at := table.Partitions[card.Boot]
	options := disk.FATOptions{Size: at.Size, Hidden: at.Start, VolumeID: card.BootVolumeID, Label: "KRAZYCAM"}
	if err := disk.WriteFAT(io.NewOffsetWriter(f, at.Start), options, boot); err != nil {
		return fmt.Errorf("boot partition: %w", err)
	}
	if _, err := f.WriteAt(root, table.Partitions[card.RootA].Start); err != nil {
		return err
	}
	perm := table.Partitions[card.Perm]
	if err := card.WriteNewPerm(io.NewOffsetWriter(f, perm.Start)); err != nil {
		return err
	}
	return disk.WriteTable(f, table)
}

// SHA256 reads r to its end and gives the sum in hexadecimal.
func SHA256(ctx context.Context, r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, contextReader{ctx, r}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// contextReader ends a long copy when ctx does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
