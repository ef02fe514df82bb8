// Writing the folder that FolderEdit.Clear has made room for. Nothing leads to any of it until its
// entry in the root folder, the last sector, is written.

package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// fatCopyBuffer is the most memory for the bytes of files; whole clusters of any size fit.
const fatCopyBuffer = 1 << 20

// A FATFile is one file to write below a folder.
type FATFile struct {
	Path string // slash-separated, relative to the folder
	Size int64
	// Open gives the bytes, exactly Size of them. It is called once, and what it gives is closed.
	Open func() (io.ReadCloser, error)
}

// folderWriter is one Write.
type folderWriter struct {
	*FolderEdit
	files  map[string]FATFile
	sorted []Entry
	buffer []byte
}

// Fits says whether the files have room, an ErrFull if not, and whether FAT can hold their names.
func (e *FolderEdit) Fits(files []FATFile) error {
	w, err := e.newWriter(files)
	if err != nil {
		return fmt.Errorf("FAT16: folder %s: %w", e.name, err)
	}
	need := w.clustersFor(int64(w.folderBytes(".")))
	for _, entry := range w.sorted {
		if entry.Mode.IsDir() {
			need += w.clustersFor(int64(w.folderBytes(entry.Path)))
			continue
		}
		need += w.clustersFor(w.files[entry.Path].Size)
	}
	if free := e.freeClusters(); need > free {
		return fmt.Errorf("FAT16: folder %s: %d bytes, %d are free: %w", e.name, need*e.r.g.clusterBytes(),
			free*e.r.g.clusterBytes(), ErrFull)
	}
	return nil
}

func (e *FolderEdit) newWriter(files []FATFile) (*folderWriter, error) {
	w := &folderWriter{FolderEdit: e, files: map[string]FATFile{}}
	var entries []Entry
	for _, f := range files {
		if f.Size < 0 || f.Size > 1<<32-1 {
			return nil, fmt.Errorf("%s: %d bytes", f.Path, f.Size)
		}
		w.files[f.Path] = f
		entries = append(entries, Entry{Path: f.Path})
	}
	var err error
	if w.sorted, err = arrangeEntries(entries); err != nil {
		return nil, err
	}
	return w, w.checkCase()
}

// checkCase refuses names that FAT cannot tell apart.
func (w *folderWriter) checkCase() error {
	seen := map[string]string{}
	for _, e := range w.sorted {
		small := strings.ToLower(e.Path)
		if other, twice := seen[small]; twice {
			return fmt.Errorf("%s and %s are one name on FAT", other, e.Path)
		}
		seen[small] = e.Path
	}
	return nil
}

// Write is Stage and Commit.
func (e *FolderEdit) Write(files []FATFile) error {
	if err := e.Stage(files); err != nil {
		return err
	}
	return e.Commit()
}

// Stage writes the files and the table, and flushes: everything but the folder's entry. ReadBack can
// look at it. After an error, or if no Commit follows, there are only lost clusters, which the next
// Clear frees.
func (e *FolderEdit) Stage(files []FATFile) error {
	if err := e.Fits(files); err != nil {
		return err
	}
	if err := e.stage(files); err != nil {
		return fmt.Errorf("FAT16: folder %s: %w", e.name, err)
	}
	return nil
}

func (e *FolderEdit) stage(files []FATFile) error {
	if len(e.found) > 0 {
		return errors.New("was not cleared")
	}
	w, err := e.newWriter(files)
	if err != nil {
		return err
	}
	w.buffer, e.staged = make([]byte, fatCopyBuffer), map[string][]int64{}
	at, entry, err := w.rootPlace()
	if err != nil {
		return err
	}
	before := append([]byte(nil), e.table...)
	own, err := w.writeFolder(".", 0)
	if err != nil {
		return err
	}
	if err := w.writeTable(before); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	// Also where the table has not changed: the files must be on the card before the entry is.
	if err := e.rw.Sync(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	binary.LittleEndian.PutUint16(entry[26:], uint16(own))
	e.newRoot = append([]byte(nil), e.r.root...)
	copy(e.newRoot[at:], entry)
	return nil
}

// ReadBack gives the bytes of a file's clusters as they are on the disk, with what fills the last of
// them. path is that of a staged file; an empty one has no bytes.
func (e *FolderEdit) ReadBack(path string) (io.Reader, error) {
	chain, ok := e.staged[path]
	if !ok {
		return nil, fmt.Errorf("FAT16: folder %s: %s: %w", e.name, path, fs.ErrNotExist)
	}
	var parts []io.Reader
	for len(chain) > 0 {
		run := 1
		for run < len(chain) && chain[run] == chain[0]+int64(run) {
			run++
		}
		parts = append(parts, io.NewSectionReader(e.rw, e.r.g.clusterStart(chain[0]), int64(run)*e.r.g.clusterBytes()))
		chain = chain[run:]
	}
	return io.MultiReader(parts...), nil
}

// Commit writes the folder's entry, one sector, and flushes: from now on the folder is there.
func (e *FolderEdit) Commit() error {
	if e.newRoot == nil {
		return fmt.Errorf("FAT16: folder %s: nothing is staged", e.name)
	}
	if err := e.writeChanged(e.r.root, e.newRoot, e.r.rootAt); err != nil {
		return fmt.Errorf("FAT16: folder %s: write its entry: %w", e.name, err)
	}
	e.r.root, e.newRoot = e.newRoot, nil
	return nil
}

// rootPlace finds a free entry in the root folder.
func (w *folderWriter) rootPlace() (at int, entry []byte, err error) {
	taken := map[[11]byte]bool{}
	for e := range entriesOf(w.r.root) {
		taken[[11]byte(w.r.root[e:e+11])] = true
	}
	n, err := newFATName(w.name, taken)
	if err != nil {
		return 0, nil, err
	}
	if n.long != "" {
		return 0, nil, fmt.Errorf("its name is taken: %w", ErrDamaged)
	}
	root := w.r.root
	for at = 0; at+fatDirent <= len(root); at += fatDirent {
		next := at + fatDirent
		switch {
		case root[at] == 0 && next < len(root) && root[next] != 0:
			return 0, nil, fmt.Errorf("root folder: bytes behind its end: %w", ErrDamaged)
		case root[at] == 0, root[at] == 0xe5:
			return at, fatShortEntry(n, fatAttrFolder, 0, 0), nil
		}
	}
	return 0, nil, fmt.Errorf("root folder: %w", ErrFull)
}

// folderBytes is the size of a folder's entries.
func (w *folderWriter) folderBytes(dir string) int {
	entries := 2
	for _, e := range w.sorted {
		if path.Dir(e.Path) == dir {
			entries += 1 + (len(utf16Units(path.Base(e.Path)))+fatLongUnits-1)/fatLongUnits
		}
	}
	return entries * fatDirent
}

// writeFolder writes everything below dir, then dir's own entries, and gives its first cluster.
func (w *folderWriter) writeFolder(dir string, parent int64) (int64, error) {
	chain, err := w.take(w.clustersFor(int64(w.folderBytes(dir))))
	if err != nil {
		return 0, err
	}
	own := chain[0]
	out := fatShortEntry(fatName{short: [11]byte([]byte(".          "))}, fatAttrFolder, own, 0)
	out = append(out, fatShortEntry(fatName{short: [11]byte([]byte("..         "))}, fatAttrFolder, parent, 0)...)
	taken := map[[11]byte]bool{}
	for _, e := range w.sorted {
		if path.Dir(e.Path) != dir {
			continue
		}
		name, err := newFATName(path.Base(e.Path), taken)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", e.Path, err)
		}
		attr, size, first := byte(fatAttrFolder), int64(0), int64(0)
		if e.Mode.Type() == fs.ModeDir {
			first, err = w.writeFolder(e.Path, own)
		} else {
			attr, size = fatAttrArchive, w.files[e.Path].Size
			first, err = w.writeFile(w.files[e.Path])
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", e.Path, err)
		}
		out = append(out, fatLongEntries(name)...)
		out = append(out, fatShortEntry(name, attr, first, int(size))...)
	}
	return own, w.writeChain(chain, strings.NewReader(string(out)), int64(len(out)))
}

func (w *folderWriter) writeFile(f FATFile) (int64, error) {
	in, err := f.Open()
	if err != nil {
		return 0, err
	}
	chain, err := w.take(w.clustersFor(f.Size))
	if err == nil {
		err = w.writeChain(chain, in, f.Size)
	}
	w.staged[f.Path] = chain
	if err = errors.Join(err, in.Close()); err != nil || len(chain) == 0 {
		return 0, err
	}
	return chain[0], nil
}

func (w *folderWriter) clustersFor(size int64) int64 {
	return (size + w.r.g.clusterBytes() - 1) / w.r.g.clusterBytes()
}

// writeChain writes size bytes and nothing of what memory held behind them. Clusters in a row are
// written at once. A reader that has less or more is an error.
func (w *folderWriter) writeChain(chain []int64, in io.Reader, size int64) error {
	cluster := w.r.g.clusterBytes()
	for len(chain) > 0 {
		run := 1
		for run < len(chain) && chain[run] == chain[0]+int64(run) && int64(run+1)*cluster <= int64(len(w.buffer)) {
			run++
		}
		room := w.buffer[:int64(run)*cluster]
		n, err := io.ReadFull(in, room[:min(size, int64(len(room)))])
		if err != nil {
			return fmt.Errorf("%d bytes are missing: %w", size-int64(n), noEOF(err))
		}
		clear(room[n:])
		if _, err := w.rw.WriteAt(room, w.r.g.clusterStart(chain[0])); err != nil {
			return fmt.Errorf("write cluster %d: %w", chain[0], err)
		}
		size, chain = size-int64(n), chain[run:]
	}
	// A reader that checks what it read says so at its end.
	switch n, err := io.ReadFull(in, w.buffer[:1]); {
	case n > 0:
		return errors.New("has more bytes than it said")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// noEOF makes the end of a file, which comes too early, an error of its own.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// take reserves clusters and chains them: in a row, if there are so many in a row anywhere.
func (w *folderWriter) take(count int64) ([]int64, error) {
	chain := w.collectFree(count, true)
	if int64(len(chain)) < count {
		chain = w.collectFree(count, false)
	}
	if int64(len(chain)) < count {
		return nil, fmt.Errorf("%d clusters are free, want %d: %w", len(chain), count, ErrFull)
	}
	for i, c := range chain {
		w.use[c] = clusterTaken
		next := int64(fatEndOfChain)
		if i+1 < len(chain) {
			next = chain[i+1]
		}
		w.setNext(c, next)
	}
	return chain, nil
}

// collectFree gives so many free clusters, or fewer if there are none.
func (w *folderWriter) collectFree(count int64, inARow bool) []int64 {
	chain := make([]int64, 0, count)
	for c := int64(2); c < w.r.g.clusters+2 && int64(len(chain)) < count; c++ {
		if w.isFree(c) {
			chain = append(chain, c)
		} else if inARow {
			chain = chain[:0]
		}
	}
	return chain
}
