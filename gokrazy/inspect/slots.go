// The two slots: a folder of the boot partition and a root, with what is wrong with each.

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
	"path"
	"slices"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/image"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/slot/whole"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A Slot is a kernel with its boot files, and the root that belongs to it.
type Slot struct {
	Name     slot.Name       `json:"name"`
	Promoted bool            `json:"promoted"` // it starts without a trial
	Empty    bool            `json:"empty"`    // neither files nor a root
	Version  string          `json:"version,omitempty"`
	Index    int64           `json:"index,omitempty"`
	Keys     []string        `json:"keys,omitempty"` // that may sign what follows it, by its manifest
	Signed   bool            `json:"signed"`         // whose signature, and whether it is right, a board checks
	Board    string          `json:"board,omitempty"`
	Kernel   string          `json:"kernel,omitempty"` // release, "" if nothing says it
	Cmdline  string          `json:"cmdline,omitempty"`
	Modules  []string        `json:"modules"` // kernel releases that the root has modules for
	Programs []image.Program `json:"programs"`
	Faults   []string        `json:"faults"` // why it would not start; without them it is whole

	defaults   []byte // krazycam.json of the root
	provenance card.Provenance
}

func (s *Slot) addFault(format string, args ...any) {
	s.Faults = append(s.Faults, fmt.Sprintf(format, args...))
}

// readSlot reads a slot of the disk d with that table. What is wrong with it are its faults: a power cut
// may have left half of it. Only a disk that cannot be read is an error.
func (r *Report) readSlot(ctx context.Context, d io.ReaderAt, t disk.Table, name slot.Name) (Slot, error) {
	s := Slot{Name: name, Modules: []string{}, Programs: []image.Program{}, Faults: []string{}}
	boot, err := openBoot(d, t, name.Folder())
	if err != nil {
		s.addFault("its folder: %v", err)
	}
	part := t.Partitions[name.RootPartition()-1]
	section := io.NewSectionReader(d, part.Start, part.Size)
	rootEmpty := r.Partitions[name.RootPartition()-1].Holds == "empty"
	if boot == nil {
		return s, ctx.Err()
	}
	if entries, err := boot.ReadDir(name.Folder()); rootEmpty && (err != nil || len(entries) == 0) {
		s.Empty = true
		return s, ctx.Err()
	}
	files, err := fs.Sub(boot, name.Folder())
	if err != nil {
		return s, err
	}
	if list, err := card.ReadFile(files, card.SourcesName, maxProvenance); err == nil {
		// A list that cannot be read is the affair of Provenance, not of a boot.
		_ = json.Unmarshal(list, &s.provenance)
	}
	s.addCmdline(files)
	s.addKernel(files)
	if rootEmpty {
		s.addFault("its root is empty")
	} else if root := s.addRoot(section); root != nil {
		s.findMissing(files, root)
	}
	return s, s.addManifest(ctx, files, section)
}

// addCmdline looks whether the kernel would mount the slot's own root.
func (s *Slot) addCmdline(files fs.FS) {
	line, err := card.ReadFile(files, card.CmdlineName, maxText)
	if err != nil {
		s.addFault("%v", err)
		return
	}
	s.Cmdline = strings.TrimSpace(string(line))
	n, err := slot.CmdlineSlot(line)
	switch {
	case err != nil:
		s.addFault("%s: %v", card.CmdlineName, err)
	case n != s.Name:
		s.addFault("%s names the root of slot %s", card.CmdlineName, n)
	case !strings.Contains(s.Cmdline, "root=PARTUUID="+card.PartitionID(card.Boot+1)+"/"):
		s.addFault("%s names no root of this image", card.CmdlineName)
	}
}

// addKernel takes the release of a kernel that does not say it from the list of sources,
// if the list is about this kernel.
func (s *Slot) addKernel(files fs.FS) {
	kernel, err := card.ReadFile(files, board.KernelName, maxKernel)
	if err != nil {
		s.addFault("%v", err)
		return
	}
	s.Kernel, err = image.KernelRelease(kernel)
	if err != nil && !errors.Is(err, image.ErrPackedKernel) {
		s.addFault("%s: %v", board.KernelName, err)
	}
	if !errors.Is(err, image.ErrPackedKernel) {
		return
	}
	sum := sha256.Sum256(kernel)
	if listedFile(s.provenance, card.InSlot+":"+board.KernelName).SHA256 != hex.EncodeToString(sum[:]) {
		s.addFault("%s is not the kernel that %s names: its release is unknown", board.KernelName, card.SourcesName)
		return
	}
	s.Kernel = s.provenance.Release
}

// listedFile is what a list of sources says of a file, nothing if it does not name it.
func listedFile(list card.Provenance, path string) card.File {
	for _, part := range list.Parts {
		for _, f := range part.Files {
			if f.Path == path {
				return f
			}
		}
	}
	return card.File{}
}

// addRoot gives the root, nil if that cannot be read.
func (s *Slot) addRoot(section *io.SectionReader) fs.FS {
	root, err := disk.OpenSquashFS(section, section.Size())
	if err != nil {
		s.addFault("its root: %v", err)
		return nil
	}
	if name, err := card.ReadFile(root, card.BoardFile, maxText); err == nil {
		s.Board = strings.TrimSpace(string(name))
	}
	// An image without defaults is none of ours; findProblems says what is missing.
	s.defaults, _ = card.ReadFile(root, config.ImageDefaults[1:], config.MaxBytes)
	releases, err := root.ReadDir("lib/modules")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.addFault("its root: %v", err)
	}
	for _, d := range releases {
		s.Modules = append(s.Modules, d.Name())
	}
	for _, folder := range []string{"gokrazy", "user"} {
		files, err := root.ReadDir(folder)
		if err != nil {
			s.addFault("its root has no folder %s", folder)
			continue
		}
		for _, f := range files {
			if f.Type().IsRegular() {
				s.addProgram(root, path.Join(folder, f.Name()))
			}
		}
	}
	return root
}

func (s *Slot) addProgram(root fs.FS, name string) {
	b, err := card.ReadFile(root, name, maxProgram)
	if err != nil {
		s.addFault("its root: %v", err)
		return
	}
	program, err := image.ReadProgram(name, b)
	if err != nil {
		s.addFault("its root: %v", err)
	}
	s.Programs = append(s.Programs, program)
}

// findMissing says what a slot of its board lacks: by package whole, by which a board refuses an update,
// and what else a person may want to know.
func (s *Slot) findMissing(files, root fs.FS) {
	b, err := board.ByName(s.Board)
	if err != nil {
		if s.Board != "" || len(s.Programs) > 0 {
			s.addFault("%v", err)
		}
		return
	}
	inInitrd := len(b.Modules) == 0 && len(s.Modules) == 0
	if !inInitrd && strings.Join(s.Modules, " ") != s.Kernel {
		s.addFault("its root has modules for kernel %q, the kernel is %s", s.Modules, s.Kernel)
	}
	for _, want := range card.RootPrograms() {
		at := slices.IndexFunc(s.Programs, func(p image.Program) bool { return p.Path == want.Path })
		if at < 0 {
			continue // whole says so
		}
		if err := image.CheckProgram(b, s.Programs[at], want.Cgo); err != nil {
			s.addFault("its root: %s: %v", want.Path, err)
		}
	}
	if err := whole.Check(b, s.Name, files, root); err != nil {
		s.addFault("%v", err)
	}
}

// addManifest compares files and root with what the slot's manifest says of them. The slot of an image
// that was made without one has none to compare with.
func (s *Slot) addManifest(ctx context.Context, files fs.FS, root *io.SectionReader) error {
	raw, err := card.ReadFile(files, card.ManifestName, update.MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return ctx.Err()
	}
	if err != nil {
		s.addFault("%v", err)
		return ctx.Err()
	}
	m, err := update.ParseManifest(raw)
	if err != nil {
		s.addFault("%s: %v", card.ManifestName, err)
		return ctx.Err()
	}
	s.Version, s.Index, s.Keys = m.Version, m.Index, m.Keys
	if info, err := fs.Stat(files, card.SignatureName); err == nil && info.Size() > 0 {
		s.Signed = true
	}
	if s.Board != "" && m.Board != s.Board {
		s.addFault("%s is for board %s, its root for %s", card.ManifestName, m.Board, s.Board)
	}
	for _, p := range m.Parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := comparePart(ctx, p, files, root); err != nil {
			s.addFault("%s is not what %s says: %v", p.Name, card.ManifestName, err)
		}
	}
	return ctx.Err()
}

var errOtherBytes = errors.New("it has other bytes")

// comparePart reads as much as the manifest says that there is; a manifest has a limit for all of
// its parts together.
func comparePart(ctx context.Context, p update.Part, files fs.FS, root *io.SectionReader) error {
	if p.Path() == "" {
		if p.Size > root.Size() {
			return fmt.Errorf("the partition has %d bytes, not %d", root.Size(), p.Size)
		}
		return compareSum(ctx, p, io.NewSectionReader(root, 0, p.Size))
	}
	info, err := fs.Stat(files, p.Path())
	if err != nil {
		return err
	}
	if info.Size() != p.Size {
		return fmt.Errorf("it has %d bytes, not %d", info.Size(), p.Size)
	}
	if p.Path() == card.CmdlineName {
		line, err := card.ReadFile(files, p.Path(), maxText)
		if err == nil {
			line, err = slot.CanonicalCmdline(line)
		}
		if err != nil {
			return err
		}
		return compareSum(ctx, p, strings.NewReader(string(line)))
	}
	f, err := files.Open(p.Path())
	if err != nil {
		return err
	}
	defer f.Close()
	return compareSum(ctx, p, f)
}

func compareSum(ctx context.Context, p update.Part, r io.Reader) error {
	sum, err := image.SHA256(ctx, r)
	if err == nil && sum != p.SHA256 {
		err = errOtherBytes
	}
	return err
}
