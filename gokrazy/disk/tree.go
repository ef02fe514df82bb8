// A file system that was read is a tree in memory; only the bytes of plain files
// stay on the disk. Both readers give it, and both are tried out with
// testing/fstest.

package disk

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Limits of a tree from a stranger. Our own largest is the boot partition with
// 400 files, 2 folders deep.
const (
	maxNodes = 20_000
	maxDepth = 32
	maxName  = 255
)

// A Tree is a file system read from an image. It is an fs.FS, an fs.ReadDirFS
// and an fs.ReadLinkFS; links are not followed. It stays usable as long as the
// io.ReaderAt that it came from.
type Tree struct {
	root    *node
	anyCase bool // as on FAT, names are found in capital and in small letters
}

// A node is also its own fs.FileInfo and fs.DirEntry.
type node struct {
	name     string
	mode     fs.FileMode
	size     int64
	target   string
	at       int64 // FAT: byte offset of a contiguous file
	entryAt  int64 // FAT: byte offset of the entry, in the root folder
	chain    []int64
	modTime  time.Time
	children []*node // sorted by name
	open     func() io.Reader
}

func (n *node) Name() string               { return n.name }
func (n *node) Size() int64                { return n.size }
func (n *node) Mode() fs.FileMode          { return n.mode }
func (n *node) Type() fs.FileMode          { return n.mode.Type() }
func (n *node) ModTime() time.Time         { return n.modTime }
func (n *node) IsDir() bool                { return n.mode.IsDir() }
func (n *node) Sys() any                   { return nil }
func (n *node) Info() (fs.FileInfo, error) { return n, nil }

// setChildren sorts what was found in a folder and refuses names that could lead out
// of it or hide one another.
func (n *node) setChildren(children []*node) error {
	slices.SortFunc(children, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	for i, c := range children {
		if c.name == "." || !fs.ValidPath(c.name) || strings.ContainsAny(c.name, "/\x00") || len(c.name) > maxName {
			return fmt.Errorf("folder %q: name %q: %w", n.name, c.name, ErrDamaged)
		}
		if i > 0 && children[i-1].name == c.name {
			return fmt.Errorf("folder %q: two entries %q: %w", n.name, c.name, ErrDamaged)
		}
	}
	n.children = children
	return nil
}

func (t *Tree) findNode(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n := t.root
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if n = t.findChild(n, part); n == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
	}
	return n, nil
}

// findChild gives nil if there is none. A name as it is written comes first.
func (t *Tree) findChild(n *node, name string) *node {
	i, ok := slices.BinarySearchFunc(n.children, name,
		func(c *node, s string) int { return strings.Compare(c.name, s) })
	if ok {
		return n.children[i]
	}
	if t.anyCase {
		for _, c := range n.children {
			if len(c.name) == len(name) && smallASCII(c.name) == smallASCII(name) {
				return c
			}
		}
	}
	return nil
}

// smallASCII leaves other letters as they are, as a kernel does that mounts with iocharset=ascii.
func smallASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// Open opens a plain file or a folder.
func (t *Tree) Open(name string) (fs.File, error) {
	n, err := t.findNode("open", name)
	if err != nil {
		return nil, err
	}
	f := &openNode{node: n, path: name}
	if n.open != nil {
		f.r = n.open()
	}
	return f, nil
}

// Lstat describes an entry without following a link.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) { return t.describe("lstat", name) }

// Stat is Lstat: a link in an image is only ever looked at.
func (t *Tree) Stat(name string) (fs.FileInfo, error) { return t.describe("stat", name) }

func (t *Tree) describe(op, name string) (fs.FileInfo, error) {
	n, err := t.findNode(op, name)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// ReadLink gives the target of a symbolic link as it is written.
func (t *Tree) ReadLink(name string) (string, error) {
	n, err := t.findNode("readlink", name)
	if err != nil {
		return "", err
	}
	if n.mode.Type() != fs.ModeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return n.target, nil
}

// ReadDir lists a folder, sorted by name.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.findNode("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return n.dirEntries(), nil
}

func (n *node) dirEntries() []fs.DirEntry {
	all := make([]fs.DirEntry, len(n.children))
	for i, c := range n.children {
		all[i] = c
	}
	return all
}

// openNode is an fs.File or fs.ReadDirFile that was opened.
type openNode struct {
	*node
	path   string
	r      io.Reader
	listed int
}

func (f *openNode) Stat() (fs.FileInfo, error) { return f.node, nil }
func (f *openNode) Close() error               { return nil }

func (f *openNode) Read(b []byte) (int, error) {
	if f.r == nil {
		return 0, &fs.PathError{Op: "read", Path: f.path, Err: fs.ErrInvalid}
	}
	n, err := f.r.Read(b)
	if err != nil && err != io.EOF {
		err = &fs.PathError{Op: "read", Path: f.path, Err: err}
	}
	return n, err
}

func (f *openNode) ReadDir(count int) ([]fs.DirEntry, error) {
	if !f.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: f.path, Err: fs.ErrInvalid}
	}
	rest := f.dirEntries()[f.listed:]
	if count > 0 && len(rest) == 0 {
		return nil, io.EOF
	}
	if count > 0 && len(rest) > count {
		rest = rest[:count]
	}
	f.listed += len(rest)
	return rest, nil
}
