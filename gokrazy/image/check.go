// What is refused as a part of an image. Each refusal is one line that says what to do:
// it costs seconds here, and a walk to the board later.

package image

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/initramfs"
)

// ErrMissing and ErrUnfit are wrapped by every refusal.
var (
	ErrMissing = errors.New("missing")
	ErrUnfit   = errors.New("does not fit")
)

// CheckProgram refuses a program that the board could not start, or that would
// start there without what it needs: an ErrUnfit. With cgo it must have been built with
// cgo, without cgo it must not.
func CheckProgram(b board.Board, p Program, cgo bool) error {
	switch {
	case p.Machine != b.Machine:
		return fmt.Errorf("%w: made for %s, board %s is %s: build it with scripts/build %s",
			ErrUnfit, p.Machine, b.Name, b.Machine, b.Arch)
	case !p.Static:
		return fmt.Errorf("%w: not static (needs %s), a board has no loader: link with -extldflags -static",
			ErrUnfit, cmp.Or(strings.Join(p.Needs, ", "), "an interpreter"))
	case !slices.Contains(p.Tags, "gokrazy"):
		return fmt.Errorf("%w: built without -tags gokrazy", ErrUnfit)
	case cgo && !p.Cgo:
		return fmt.Errorf("%w: built without cgo, so without codecs: build it with scripts/build %s", ErrUnfit, b.Arch)
	case !cgo && p.Cgo:
		return fmt.Errorf("%w: built with cgo, wants CGO_ENABLED=0", ErrUnfit)
	}
	return nil
}

// checkModule refuses a module that the kernel would refuse: "disagrees about
// version of symbol", seen only on the board's console.
func checkModule(name string, b []byte, release string) error {
	info, err := initramfs.ParseModinfo(b)
	if err != nil {
		return fmt.Errorf("%s: not a kernel module: %w", name, err)
	}
	if info.Release != release {
		return fmt.Errorf("module %s: %w: made for kernel %s, the kernel is %s", name, ErrUnfit, info.Release, release)
	}
	return nil
}

// checkOrder refuses a list in which a module comes before one that it needs, or
// without it. Deps is modules.dep: "path: path path", all in the same folder.
func checkOrder(modules []string, deps string) error {
	needs := map[string][]string{}
	for line := range strings.Lines(deps) {
		name, rest, _ := strings.Cut(line, ":")
		needs[name] = strings.Fields(rest)
	}
	for i, name := range modules {
		for _, need := range needs[name] {
			if !slices.Contains(modules[:i], need) {
				return fmt.Errorf("module %s: %w: needs %s before it in the board's list",
					path.Base(name), ErrUnfit, path.Base(need))
			}
		}
	}
	return nil
}

// checkSlot refuses a slot that no board would take as an update.
func checkSlot(b board.Board, files []disk.Entry) error {
	for _, want := range b.SlotFiles {
		if !slices.ContainsFunc(files, func(e disk.Entry) bool { return e.Path == want && len(e.Bytes) > 0 }) {
			return fmt.Errorf("%w boot file %s: every slot of board %s needs it", ErrMissing, want, b.Name)
		}
	}
	return nil
}
