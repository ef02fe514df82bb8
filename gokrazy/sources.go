// Where the kernel, its modules and the boot firmware of an image come from: a file
// on the boot partition that goes wherever the image goes, as the GPL asks of whoever
// hands binaries on.
package gokrazy

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

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// maxSources is for 400 files of 150 bytes each, and as much again.
const maxSources = 1 << 20

// Where a SourceFile lies, as the word before the colon of its Path.
const (
	inBoot   = "boot"   // boot partition
	inRaw    = "sector" // outside any partition; the path is the number of a sector and a name
	inRoot   = "root"   // the active root
	inInitrd = "initrd" // the initramfs, itself a file of the boot partition
)

// A SourceReport is what an image says about its sources, and whether it still holds
// the files that it says that of.
type SourceReport struct {
	Board   string       `json:"board"`
	Release string       `json:"release"` // of the kernel
	Parts   []SourcePart `json:"parts"`
}

// A SourcePart is what came out of one package.
type SourcePart struct {
	Name    string       `json:"name"`             // Debian package or Go module
	Version string       `json:"version"`          // of it
	SHA256  string       `json:"sha256,omitempty"` // of the Debian package
	Sum     string       `json:"sum,omitempty"`    // of the Go module, as go.sum has it
	Source  string       `json:"source"`           // where the corresponding source is
	Files   []SourceFile `json:"files"`
}

// A SourceFile is one file of a part. State is not in the image but what Sources
// found out.
type SourceFile struct {
	Path   string    `json:"path"` // boot:vmlinuz
	Size   int64     `json:"size"`
	SHA256 string    `json:"sha256"`
	State  FileState `json:"state,omitempty"`
}

// A FileState compares a file in the image with what the list says of it.
type FileState string

// The states.
const (
	FileSame    FileState = "same"
	FileDiffers FileState = "differs"
	FileMissing FileState = "missing"
	FileInside  FileState = "inside" // in the initramfs, which was compared as a whole
)

// sourceList is the file for an image of these parts.
func sourceList(b board.Board, p Parts, m material) ([]byte, error) {
	kernel := SourcePart{Name: p.Kernel.Name, Version: p.Kernel.Version, SHA256: p.Kernel.SHA256, Sum: p.Kernel.Sum, Source: p.Kernel.source(b.Kernel, m.release)}
	firmware := SourcePart{Name: p.Firmware.Name, Version: p.Firmware.Version, SHA256: p.Firmware.SHA256, Sum: p.Firmware.Sum, Source: p.Firmware.source(b.BootFirmware, m.release)}
	kernel.add(inBoot, board.KernelName, m.kernel)
	for _, e := range m.boot {
		part := &kernel
		if e.firmware {
			part = &firmware
		}
		part.add(inBoot, e.Path, e.Bytes)
	}
	for _, r := range m.raw {
		firmware.add(inRaw, strconv.FormatInt(r.sector, 10)+"/"+r.name, r.bytes)
	}
	for _, e := range m.modules {
		kernel.add(inRoot, e.Path, e.Bytes)
	}
	if m.initrd != nil {
		kernel.add(inBoot, card.InitrdName, m.initrd.bytes)
		for _, e := range m.initrd.modules {
			kernel.add(inInitrd, e.Path, e.Bytes)
		}
	}
	list, err := json.MarshalIndent(SourceReport{b.Name, m.release, []SourcePart{kernel, firmware}}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("list of sources: %w", err)
	}
	return append(list, '\n'), nil
}

// source fills in what the board's own text leaves open.
func (s Source) source(o board.Origin, release string) string {
	return strings.NewReplacer("VERSION", s.Version, "RELEASE", release).Replace(o.Source)
}

func (p *SourcePart) add(where, name string, b []byte) {
	sum := sha256.Sum256(b)
	p.Files = append(p.Files, SourceFile{Path: where + ":" + name, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])})
}

// Sources reads the list in the image at the beginning of r, an image or a card of
// size bytes, and compares each file with it. A file that differs is no error: an
// owner may have changed it, and then the list does not tell its source.
func Sources(ctx context.Context, r io.ReaderAt, size int64) (SourceReport, error) {
	boot, _, err := card.OpenBoot(r, size)
	if err != nil {
		return SourceReport{}, fmt.Errorf("sources: %w", err)
	}
	list, err := readLimited(boot, card.SourcesName, maxSources)
	if err != nil {
		return SourceReport{}, fmt.Errorf("sources: %w", err)
	}
	var out SourceReport
	if err := json.Unmarshal(list, &out); err != nil {
		return SourceReport{}, fmt.Errorf("sources: %s: %w", card.SourcesName, err)
	}
	look := sourceReader{r: r, boot: boot, root: activeRoot(r, size, boot)}
	for i := range out.Parts {
		for j := range out.Parts[i].Files {
			if err := ctx.Err(); err != nil {
				return SourceReport{}, err
			}
			f := &out.Parts[i].Files[j]
			f.State = look.state(*f)
		}
	}
	return out, nil
}

// sourceReader finds the files of a list in an image.
type sourceReader struct {
	r    io.ReaderAt
	boot fs.FS
	root fs.FS // nil: cannot be read
}

func (s sourceReader) state(f SourceFile) FileState {
	where, name, _ := strings.Cut(f.Path, ":")
	var b []byte
	err := fs.ErrNotExist
	switch where {
	case inInitrd:
		return FileInside
	case inBoot:
		b, err = readLimited(s.boot, name, maxKernel)
	case inRoot:
		if s.root != nil {
			b, err = readLimited(s.root, name, maxKernel)
		}
	case inRaw:
		b, err = s.raw(name, f.Size)
	}
	if err != nil {
		return FileMissing
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != f.SHA256 {
		return FileDiffers
	}
	return FileSame
}

// raw reads up to the first partition only.
func (s sourceReader) raw(name string, size int64) ([]byte, error) {
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
	line, err := readLimited(boot, card.CmdlineName, maxText)
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
