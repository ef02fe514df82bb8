// Everything that is checked before anything is written.

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/slot/whole"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// copyBuffer is the unit of reading and writing, in bytes.
const copyBuffer = 1 << 20

// A writer writes one update.
type writer struct {
	card       *cardInParts
	in         input
	board      board.Board
	running    slot.Name
	configured []string // update keys of the configuration
	progress   progress

	boot     *disk.FAT   // with the running slot's folder
	compared func(n int) // is told how many bytes were read back
}

// A plan is a slot that may be written.
type plan struct {
	manifest       update.Manifest
	raw, signature []byte // of the manifest, as they came; an unsigned one has no signature
	sources        []source
	root           source
	edit           *disk.FolderEdit
}

// update checks, writes and reads back. Each byte of the running slot is read once, and each byte of
// the new one is hashed as it lies on the card: what was wrong on its way is found there.
func (w *writer) update() (outcome, error) {
	p, err := w.plan()
	if err != nil {
		return outcome{}, err
	}
	if err := w.write(p); err != nil {
		return outcome{}, fmt.Errorf("slot %s: %w", w.running.Other(), err)
	}
	done := outcome{Version: p.manifest.Version, Index: p.manifest.Index}
	for _, s := range p.sources {
		done.BytesWritten += s.part.Size
	}
	return done, nil
}

func (w *writer) plan() (p plan, err error) {
	if err := w.checkPointers(); err != nil {
		return p, err
	}
	if w.boot, err = disk.OpenFATFolders(w.card.boot, w.card.bootSize, w.running.Folder()); err != nil {
		return p, fmt.Errorf("boot partition: %w", err)
	}
	promoted, err := readManifest(w.boot, w.running)
	if err != nil {
		return p, fmt.Errorf("slot %s: %w", w.running, err)
	}
	if w.in.spool != nil {
		err = w.readSigned(&p, promoted)
	} else {
		err = w.makeUnsigned(&p, promoted)
	}
	if err != nil {
		return p, err
	}
	if p.sources, err = w.findSources(p.manifest, promoted); err != nil {
		return p, err
	}
	p.root = p.sources[slices.IndexFunc(p.sources, func(s source) bool { return s.part.Name == update.RootName })]
	if p.root.part.Size > w.card.rootSize {
		return p, fmt.Errorf("root: %d bytes, its partition has %d", p.root.part.Size, w.card.rootSize)
	}
	if p.edit, err = disk.EditFolder(w.card.boot, w.card.bootSize, w.running.Other().Folder(),
		w.running.Folder()); err != nil {
		return p, fmt.Errorf("boot partition: %w", err)
	}
	if err := p.edit.Fits(w.files(p)); err != nil {
		return p, fmt.Errorf("boot partition: %w", err)
	}
	if err := w.checkSources(p.sources); err != nil {
		return p, err
	}
	return p, w.checkWhole(p)
}

// errPointers means that the card could start the slot that is to be written.
var errPointers = errors.New("nothing may be written")

// checkPointers refuses to write a slot that something on the card starts: while one is on trial, or
// before a card that was in another model has been healed.
func (w *writer) checkPointers() error {
	c, err := slot.Open(w.card.whole, w.card.size)
	if err != nil {
		return fmt.Errorf("card: %w", err)
	}
	says := c.Pointers()
	wantsConfig := w.board.Loader == board.PiFirmware
	switch other := w.running.Other(); {
	case says.Try == other:
		return fmt.Errorf("slot %s is to be tried at the next start: %w", other, errPointers)
	case says.UBoot == other:
		return fmt.Errorf("slot %s runs, and U-Boot starts slot %s: %w", w.running, other, errPointers)
	case says.Firmware == other:
		return fmt.Errorf("slot %s runs, and %s names slot %s: %w", w.running, card.ConfigName, other, errPointers)
	case len(says.Damaged) > 0:
		return fmt.Errorf("which slot starts is not clear (%w): %w", says.Damaged[0], errPointers)
	case wantsConfig && (says.Firmware == slot.None || says.Tryboot == slot.None):
		return fmt.Errorf("%s or %s is missing on the boot partition: %w", card.ConfigName, card.TrybootName,
			errPointers)
	}
	if err := c.CheckSwitch(); err != nil {
		return fmt.Errorf("the card could not be switched to a new version: %w", err)
	}
	return nil
}

// readManifest reads the manifest of a slot that is on the card.
func readManifest(boot *disk.FAT, n slot.Name) (update.Manifest, error) {
	raw, err := readFile(boot, path.Join(n.Folder(), card.ManifestName), update.MaxManifest)
	if err != nil {
		return update.Manifest{}, err
	}
	return update.ParseManifest(raw)
}

// readSigned takes the spool's manifest: signature first, then what it says.
func (w *writer) readSigned(p *plan, promoted update.Manifest) (err error) {
	if p.raw, p.signature, err = w.in.spool.Manifest(); err != nil {
		return err
	}
	keys, err := update.TrustedKeys(promoted, w.configured)
	if err != nil {
		return err
	}
	if err := update.Verify(p.raw, p.signature, keys); err != nil {
		return err
	}
	if p.manifest, err = update.ParseManifest(p.raw); err != nil {
		return err
	}
	return p.manifest.Permits(promoted, w.board.Name, slot.Layout, w.otherManifest())
}

// otherManifest is that of the slot that will be replaced, nil if that is not whole.
func (w *writer) otherManifest() *update.Manifest {
	other := w.running.Other()
	boot, err := disk.OpenFATFolders(w.card.boot, w.card.bootSize, other.Folder())
	if err != nil {
		return nil
	}
	m, err := readManifest(boot, other)
	if err != nil {
		return nil
	}
	return &m
}

// makeUnsigned makes a manifest for a root alone: that of the running slot, with another root. Keys
// and index stay, so that the next signed update is judged as before.
func (w *writer) makeUnsigned(p *plan, promoted update.Manifest) (err error) {
	if w.in.rootSize > update.MaxRoot || w.in.rootSize == 0 {
		return fmt.Errorf("root: %d bytes, at most %d", w.in.rootSize, int64(update.MaxRoot))
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(w.in.root, 0, w.in.rootSize)); err != nil {
		return fmt.Errorf("root: %w", err)
	}
	root := update.Part{Name: update.RootName, Size: w.in.rootSize, SHA256: hex.EncodeToString(sum.Sum(nil))}
	if root == promoted.Root() {
		return update.ErrAlready
	}
	p.manifest = promoted
	p.manifest.Parts = slices.Clone(promoted.Parts)
	p.manifest.Version = "unsigned-" + root.SHA256[:12]
	i := slices.Index(p.manifest.Parts, promoted.Root())
	p.manifest.Parts[i] = root
	p.raw, err = p.manifest.Encode()
	return err
}

// checkSources reads what came once: what is wrong is found while nothing has been written. What the
// running slot has is hashed when it has been copied; if it is damaged there, nothing else is lost by
// then than what the other slot held.
func (w *writer) checkSources(all []source) error {
	total, done := int64(0), int64(0)
	for _, s := range all {
		if s.spooled {
			total += s.part.Size
		}
	}
	w.compared = func(n int) {
		done += int64(n)
		w.progress("check", done, total)
	}
	for _, s := range all {
		if !s.spooled {
			continue
		}
		in, err := s.open()
		if err != nil {
			return fmt.Errorf("spool: %s: %w", s.part.Name, err)
		}
		err = w.compare(in, s.part)
		in.Close()
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	return nil
}

// checkWhole looks at the new slot as it will be.
func (w *writer) checkWhole(p plan) error {
	files := sourceFiles{}
	for _, s := range p.sources {
		if s.part.Name != update.RootName {
			files[s.part.Path()] = s
		}
	}
	from, err := w.openRoot(p.root)
	if err != nil {
		return fmt.Errorf("root: %w", err)
	}
	defer from.Close()
	root, err := disk.OpenSquashFS(from, p.root.part.Size)
	if err != nil {
		return fmt.Errorf("version %s: root: %w", p.manifest.Version, err)
	}
	if err := whole.Check(w.board, slot.A, files, root); err != nil {
		return fmt.Errorf("version %s: %w", p.manifest.Version, err)
	}
	return nil
}

// openRoot opens the root to read here and there in it.
func (w *writer) openRoot(s source) (readerAtCloser, error) {
	if w.in.has(s.part) {
		return w.in.open(s.part)
	}
	return nopCloser{w.card.running}, nil
}

// files is what the slot's folder will hold.
func (w *writer) files(p plan) (files []disk.FATFile) {
	for _, s := range p.sources {
		if s.part.Name == update.RootName {
			continue
		}
		open := s.open
		if s.part.Path() == card.CmdlineName {
			open = func() (io.ReadCloser, error) { return cmdlineFor(w.running.Other(), s) }
		}
		files = append(files, disk.FATFile{Path: s.part.Path(), Size: s.part.Size, Open: open})
	}
	files = append(files, memoryFile(card.ManifestName, p.raw))
	if p.signature != nil {
		files = append(files, memoryFile(card.SignatureName, p.signature))
	}
	return files
}

// cmdlineFor is the command line for a slot.
func cmdlineFor(n slot.Name, s source) (io.ReadCloser, error) {
	in, err := s.open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	line, err := io.ReadAll(io.LimitReader(in, slot.MaxCmdline+1))
	if err == nil {
		line, err = slot.Cmdline(line, n)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.part.Name, err)
	}
	return io.NopCloser(bytes.NewReader(line)), nil
}

func memoryFile(name string, b []byte) disk.FATFile {
	return disk.FATFile{Path: name, Size: int64(len(b)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b)), nil
	}}
}
