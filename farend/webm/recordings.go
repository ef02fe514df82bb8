// What a Library has, for whoever shows it.

package webm

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/krazycam/krazycam/farend/webm/matroska"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// Errors of a Library.
var (
	ErrUnknown = errors.New("there is no such recording")
	ErrActive  = errors.New("it is being written")
)

// A Recording is one file. Duration, Width and Height are 0 where the file's head is not readable.
type Recording struct {
	Name     string        `json:"name"`
	Start    time.Time     `json:"start"`
	Duration time.Duration `json:"duration_ns"`
	Bytes    int64         `json:"bytes"`
	Width    int           `json:"width"`
	Height   int           `json:"height"`
	Active   bool          `json:"active"` // it is being written
}

// List gives a source's recordings, oldest first. It reads the head of each file.
func (l *Library) List(customer int64, source wire.ID) []Recording {
	folder := folderOf(source)
	var list []Recording
	for _, f := range l.filesOf(customer, folder) {
		file, err := openfile.File(l.path(customer, folder, f.start))
		if err != nil {
			continue // it was removed by hand, or a moment ago
		}
		r := Recording{Name: nameOf(f.start), Start: time.UnixMilli(f.start).UTC(), Active: f.active}
		if info, err := file.Stat(); err == nil {
			r.Bytes = info.Size()
		}
		if info, err := matroska.ReadInfo(file); err == nil {
			r.Duration, r.Width, r.Height = info.Duration, info.Width, info.Height
		}
		_ = file.Close()
		list = append(list, r)
	}
	return list
}

// A listed file is one of a source's.
type listed struct {
	start  int64
	active bool
}

func (l *Library) filesOf(customer int64, folder string) (list []listed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.customers[customer]
	if c == nil {
		return nil
	}
	for _, e := range c.sources[folder] {
		list = append(list, listed{e.start, false})
	}
	for r := range c.recorders {
		if start, active := r.activeSince(); active && r.folder == folder {
			list = append(list, listed{start, true})
		}
	}
	slices.SortFunc(list, func(a, b listed) int { return cmp.Compare(a.start, b.start) })
	return list
}

// Open opens a recording for reading, also one that is being written. name is one that List gave.
func (l *Library) Open(customer int64, source wire.ID, name string) (*os.File, error) {
	start, ok := parseName(name)
	if !ok {
		return nil, fmt.Errorf("recording %q: %w", name, ErrUnknown)
	}
	f, err := openfile.File(l.path(customer, folderOf(source), start))
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("recording %q: %w", name, err)
	}
	return f, nil
}

// Remove removes a recording, unless it is being written: ErrActive.
func (l *Library) Remove(customer int64, source wire.ID, name string) error {
	folder := folderOf(source)
	start, ok := parseName(name)
	if !ok {
		return fmt.Errorf("recording %q: %w", name, ErrUnknown)
	}
	for _, f := range l.filesOf(customer, folder) {
		switch {
		case f.start != start:
		case f.active:
			return fmt.Errorf("recording %q: %w", name, ErrActive)
		default:
			return l.removeFile(customer, folder, start)
		}
	}
	return fmt.Errorf("recording %q: %w", name, ErrUnknown)
}

// removeFile removes a finished file, and its folder if that is empty then. One that is gone already is
// removed.
func (l *Library) removeFile(customer int64, folder string, start int64) error {
	path := l.path(customer, folder, start)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("recording: %w", err)
	}
	_ = os.Remove(filepath.Dir(path)) // not if there is anything in it; createFile makes it again
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.customerOf(customer)
	if c.sources[folder] = removeEntry(c.sources[folder], start); len(c.sources[folder]) == 0 {
		delete(c.sources, folder)
	}
	return nil
}
