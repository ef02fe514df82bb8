// Where the bytes of a part come from: the spool, or the running slot, which has most of them
// already.

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A source gives a part, from the start each time. The command line is in its canonical form.
type source struct {
	part    update.Part
	spooled bool
	open    func() (io.ReadCloser, error)
}

// errMissing means that a part is neither in the spool nor in the running slot.
var errMissing = errors.New("a part is missing")

// findSources says for each part where it comes from.
func (w *writer) findSources(m update.Manifest, promoted update.Manifest) ([]source, error) {
	var all []source
	for _, p := range m.Parts {
		s, err := w.findSource(p, promoted)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (w *writer) findSource(p update.Part, promoted update.Manifest) (source, error) {
	if w.in.has(p) {
		return source{p, true, func() (io.ReadCloser, error) {
			f, err := w.in.open(p)
			if err != nil {
				return nil, err
			}
			return sectionCloser{io.NewSectionReader(f, 0, p.Size), f}, nil
		}}, nil
	}
	for _, have := range promoted.Parts { // under its own name, or another
		if have.SHA256 == p.SHA256 && have.Size == p.Size {
			open := func() (io.ReadCloser, error) { return w.openRunning(have) }
			return source{p, false, open}, nil
		}
	}
	return source{}, fmt.Errorf("%s: %w: neither in the spool nor in slot %s", p.Name, errMissing, w.running)
}

// openRunning opens a part of the running slot.
func (w *writer) openRunning(p update.Part) (io.ReadCloser, error) {
	if p.Name == update.RootName {
		return io.NopCloser(io.NewSectionReader(w.card.running, 0, p.Size)), nil
	}
	if p.Path() != card.CmdlineName {
		return w.boot.Open(path.Join(w.running.Folder(), p.Path()))
	}
	line, err := readFile(w.boot, path.Join(w.running.Folder(), p.Path()), slot.MaxCmdline)
	if err == nil {
		line, err = slot.CanonicalCmdline(line)
	}
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(line)), nil
}

// readFile reads a file of the card of at most limit bytes.
func readFile(tree fs.FS, name string, limit int64) ([]byte, error) {
	info, err := fs.Stat(tree, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes, at most %d", name, info.Size(), limit)
	}
	return fs.ReadFile(tree, name)
}

// A sectionCloser closes the file that it is a section of.
type sectionCloser struct {
	*io.SectionReader
	io.Closer
}

// sourceFiles is the new slot's folder before it is written.
type sourceFiles map[string]source

// Open implements fs.FS.
func (f sourceFiles) Open(name string) (fs.File, error) {
	s, ok := f[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	in, err := s.open()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return sourceFile{in, name, s.part.Size}, nil
}

// A sourceFile is also its own fs.FileInfo.
type sourceFile struct {
	io.ReadCloser
	name string
	size int64
}

func (f sourceFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f sourceFile) Name() string               { return path.Base(f.name) }
func (f sourceFile) Size() int64                { return f.size }
func (f sourceFile) Mode() fs.FileMode          { return 0o444 }
func (f sourceFile) ModTime() time.Time         { return time.Time{} }
func (f sourceFile) IsDir() bool                { return false }
func (f sourceFile) Sys() any                   { return nil }
