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
	"strings"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/update"
)

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
	return p.edit.Write(files)
}

// writeRoot copies the root to the start of its partition and flushes it.
func (w *writer) writeRoot(s source) error {
	in, err := s.verified()
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

// readBack compares what is on the card now with the manifest, and sees that the running slot is
// still whole. A block device is read past the kernel's cache.
func (w *writer) readBack(p plan) error {
	other := w.running.Other()
	boot, err := disk.OpenFATFolders(w.card.boot, w.card.bootSize, w.running.Folder(), other.Folder())
	if err != nil {
		return err
	}
	want := map[string]update.Part{}
	for _, s := range p.sources {
		if s.part.Name != update.RootName {
			want[s.part.Path()] = s.part
		}
	}
	want[card.ManifestName] = partOf(card.ManifestName, p.raw)
	if p.signature != nil {
		want[card.SignatureName] = partOf(card.SignatureName, p.signature)
	}
	root := p.root.part
	total, done := root.Size, int64(0)
	for _, part := range want {
		total += part.Size
	}
	w.compared = func(n int) {
		done += int64(n)
		w.progress("read-back", done, total)
	}
	if err := w.compare(root.Name, io.NewSectionReader(w.card.target, 0, root.Size), root); err != nil {
		return err
	}
	err = fs.WalkDir(boot, other.Folder(), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		below := strings.TrimPrefix(name, other.Folder()+"/")
		part, ok := want[below]
		if !ok {
			return fmt.Errorf("%s: nobody wrote it", name)
		}
		delete(want, below)
		return w.compareFile(boot, name, part)
	})
	if err != nil {
		return err
	}
	for name := range want {
		return fmt.Errorf("%s is missing", name)
	}
	return nil
}

func (w *writer) compareFile(boot *disk.FAT, name string, part update.Part) error {
	f, err := boot.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if part.Path() != card.CmdlineName {
		return w.compare(name, f, part)
	}
	line, err := io.ReadAll(io.LimitReader(f, slot.MaxCmdline+1))
	if err != nil {
		return err
	}
	if n, err := slot.CmdlineSlot(line); err != nil || n != w.running.Other() {
		return fmt.Errorf("%s: names slot %q: %w", name, n, err)
	}
	if line, err = slot.CanonicalCmdline(line); err != nil {
		return err
	}
	return w.compare(name, bytes.NewReader(line), part)
}

func (w *writer) compare(name string, r io.Reader, want update.Part) error {
	sum := sha256.New()
	n, err := io.CopyBuffer(onlyWriter{sum}, counted{io.NopCloser(r), w.compared}, make([]byte, copyBuffer))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != want.Size || got != want.SHA256 {
		return fmt.Errorf("%s: %w: %d bytes, sha256 %s, wrote %d, %s", name, update.ErrPart, n, got, want.Size,
			want.SHA256)
	}
	return nil
}

// With an onlyWriter io.CopyBuffer uses the buffer that it is given.
type onlyWriter struct{ io.Writer }

func partOf(name string, b []byte) update.Part {
	sum := sha256.Sum256(b)
	return update.Part{Name: update.BootPrefix + name, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}
}
