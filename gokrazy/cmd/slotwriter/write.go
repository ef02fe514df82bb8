// Writing the slot. From the first step to the last one there is no folder for it on the boot
// partition, so that no loader finds half of it.

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// write does all of it. The folder's entry comes when everything else has been read back.
func (w *writer) write(p plan) error {
	if err := p.edit.Clear(); err != nil {
		return err
	}
	if err := w.writeRoot(p.root); err != nil {
		return fmt.Errorf("root: %w", err)
	}
	files := w.files(p)
	total, done := int64(0), int64(0)
	for _, f := range files {
		total += f.Size
	}
	for i, f := range files {
		files[i].Open = func() (io.ReadCloser, error) {
			in, err := f.Open()
			if err != nil {
				return nil, err
			}
			return counted{in, func(n int) {
				done += int64(n)
				w.progress("write-boot", done, total)
			}}, nil
		}
	}
	if err := p.edit.Stage(files); err != nil {
		return err
	}
	if err := w.readBack(p); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if err := p.edit.Commit(); err != nil {
		return err
	}
	return w.lookAgain(p)
}

// writeRoot copies the root to the start of its partition and flushes it.
func (w *writer) writeRoot(s source) error {
	in, err := s.open()
	if err != nil {
		return err
	}
	defer in.Close()
	buffer := make([]byte, copyBuffer)
	for at := int64(0); ; {
		n, err := io.ReadFull(in, buffer)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		sectors := (n + disk.SectorSize - 1) / disk.SectorSize * disk.SectorSize
		clear(buffer[n:sectors])
		if _, err := w.card.target.WriteAt(buffer[:sectors], at); err != nil {
			return fmt.Errorf("write at byte %d: %w", at, err)
		}
		at += int64(n)
		w.progress("write-root", at, s.part.Size)
		if err != nil {
			break
		}
	}
	if err := w.card.target.Sync(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// counted says how much was read.
type counted struct {
	io.ReadCloser
	add func(n int)
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.add(n)
	return n, err
}

// readBack compares what is on the card now with the manifest. A block device is read past the
// kernel's cache.
func (w *writer) readBack(p plan) error {
	root := p.root.part
	all := w.expected(p)
	total, done := root.Size, int64(0)
	for _, part := range all {
		total += part.Size
	}
	w.compared = func(n int) {
		done += int64(n)
		w.progress("read-back", done, total)
	}
	if err := w.compare(io.NewSectionReader(w.card.target, 0, root.Size), root); err != nil {
		return err
	}
	for _, part := range all {
		in, err := p.edit.ReadBack(part.Path())
		if err != nil {
			return err
		}
		in = io.LimitReader(in, part.Size)
		if part.Path() == card.CmdlineName {
			if in, err = w.canonical(in); err != nil {
				return fmt.Errorf("%s: %w", part.Name, err)
			}
		}
		if err := w.compare(in, part); err != nil {
			return err
		}
	}
	return nil
}

// expected is what the folder will hold. The manifest's own files count as parts here.
func (w *writer) expected(p plan) (all []update.Part) {
	for _, s := range p.sources {
		if s.part.Name != update.RootName {
			all = append(all, s.part)
		}
	}
	all = append(all, partOf(card.ManifestName, p.raw))
	if p.signature != nil {
		all = append(all, partOf(card.SignatureName, p.signature))
	}
	return all
}

// canonical checks that a command line names the slot that was written.
func (w *writer) canonical(in io.Reader) (io.Reader, error) {
	line, err := io.ReadAll(io.LimitReader(in, slot.MaxCmdline+1))
	if err != nil {
		return nil, err
	}
	switch n, err := slot.CmdlineSlot(line); {
	case err != nil:
		return nil, err
	case n != w.running.Other():
		return nil, fmt.Errorf("%w names the root of slot %s", slot.ErrCmdline, n)
	}
	line, err = slot.CanonicalCmdline(line)
	return bytes.NewReader(line), err
}

// lookAgain opens both slots as any reader would: the new folder has these files and no others, and
// the running one is as whole as it was.
func (w *writer) lookAgain(p plan) error {
	other := w.running.Other().Folder()
	boot, err := disk.OpenFATFolders(w.card.boot, w.card.bootSize, w.running.Folder(), other)
	if err != nil {
		return err
	}
	want := map[string]int64{}
	for _, part := range w.expected(p) {
		want[path.Join(other, part.Path())] = part.Size
	}
	err = fs.WalkDir(boot, other, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if size, ok := want[name]; !ok || size != info.Size() {
			return fmt.Errorf("%s: %d bytes, wrote %d", name, info.Size(), size)
		}
		delete(want, name)
		return nil
	})
	if err != nil {
		return err
	}
	for name := range want {
		return fmt.Errorf("%s is missing", name)
	}
	return nil
}

func (w *writer) compare(r io.Reader, want update.Part) error {
	sum := sha256.New()
	n, err := io.CopyBuffer(onlyWriter{sum}, counted{io.NopCloser(r), w.compared}, make([]byte, copyBuffer))
	if err != nil {
		return fmt.Errorf("%s: %w", want.Name, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != want.Size || got != want.SHA256 {
		return fmt.Errorf("%s: %w: %d bytes, sha256 %s, the manifest says %d, %s", want.Name, update.ErrPart, n, got,
			want.Size, want.SHA256)
	}
	return nil
}

// With an onlyWriter io.CopyBuffer uses the buffer that it is given.
type onlyWriter struct{ io.Writer }

func partOf(name string, b []byte) update.Part {
	sum := sha256.Sum256(b)
	return update.Part{Name: update.BootPrefix + name, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}
}
