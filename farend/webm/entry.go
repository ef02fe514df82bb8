// Finished files as the Library keeps them in mind.

package webm

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/krazycam/krazycam/farend/webm/matroska"
)

// An entry is a finished file. There may be a million: its name follows from start.
type entry struct {
	start int64 // ms since 1970, by the name
	end   int64 // ms since 1970, when it was last written
	size  int64
}

// insertEntry keeps the oldest first.
func insertEntry(list []entry, e entry) []entry {
	i, _ := findEntry(list, e.start)
	return slices.Insert(list, i, e)
}

func findEntry(list []entry, start int64) (i int, ok bool) {
	return slices.BinarySearchFunc(list, start, func(e entry, start int64) int { return cmp.Compare(e.start, start) })
}

func removeEntry(list []entry, start int64) []entry {
	if i, ok := findEntry(list, start); ok {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// scanSource lists a folder's recordings, oldest first. A file that goes meanwhile is none, and neither
// is one in which no frame was written: it is removed.
func scanSource(path string) (files []entry, err error) {
	list, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		start, ok := parseName(d.Name())
		if !ok || !d.Type().IsRegular() {
			continue
		}
		info, err := d.Info()
		if err != nil {
			continue
		}
		if info.Size() <= matroska.HeadSize && os.Remove(filepath.Join(path, d.Name())) == nil {
			continue
		}
		files = append(files, entry{start, info.ModTime().UnixMilli(), info.Size()})
	}
	slices.SortFunc(files, func(a, b entry) int { return cmp.Compare(a.start, b.start) })
	return files, nil
}
