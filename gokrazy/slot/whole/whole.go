// Package whole says what a slot lacks: before anything is written and before anything points to
// it, while a missing file costs a line and not a walk to the board.
//
// A slot is whole if its folder has what the board's loaders look for, in a form that they can
// start, and if root, kernel and modules belong together. Both are given as file systems, which may
// be a stranger's; what is read of them has limits in size, and a kernel is never held in memory.
// The package owns nothing and writes nothing.
//
// Sources: Devicetree Specification 0.4 section 5.2 (header), arch/arm/boot/compressed/head.S of
// Linux (zImage), ELF-64 (header).
package whole

import (
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/fdt"
	"github.com/krazycam/krazycam/gokrazy/initramfs"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// ErrIncomplete means that a slot lacks something. The text says what.
var ErrIncomplete = errors.New("slot is not whole")

const (
	maxSources  = 4 << 20  // bytes of sources.json; ours has 100 KB
	maxBuiltin  = 1 << 20  // bytes of modules.builtin
	maxModule   = 16 << 20 // bytes of one module; ours have 100 KB
	maxProblems = 5        // that are said

	modulesFolder = "lib/modules"
)

// Check looks at a slot's folder and root. The command line must name the root of slot n: for what
// is in a bundle, that is slot a.
func Check(b board.Board, n slot.Name, files, root fs.FS) error {
	c := checker{board: b, slot: n, files: files, root: root}
	for _, check := range []func(){c.checkFiles, c.checkCmdline, c.checkKernel, c.checkInitrd, c.checkRoot,
		c.checkModules} {
		check()
	}
	if len(c.problems) == 0 {
		return nil
	}
	more := ""
	if n := len(c.problems) - maxProblems; n > 0 {
		c.problems, more = c.problems[:maxProblems], fmt.Sprintf("; and %d more", n)
	}
	return fmt.Errorf("%w: %s%s", ErrIncomplete, strings.Join(c.problems, "; "), more)
}

type checker struct {
	board       board.Board
	slot        slot.Name
	files, root fs.FS
	release     string // of the kernel
	problems    []string
}

func (c *checker) addProblem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// checkFiles looks for what the board's table lists.
func (c *checker) checkFiles() {
	for _, name := range c.board.SlotFiles {
		info, err := fs.Stat(c.files, name)
		switch {
		case err != nil:
			c.addProblem("%s is missing", name)
		case !info.Mode().IsRegular() || info.Size() == 0:
			c.addProblem("%s is empty or no plain file", name)
		case path.Ext(name) == ".dtb":
			if err := checkTree(c.files, name, info.Size()); err != nil {
				c.addProblem("%s: %v", name, err)
			}
		}
	}
}

// checkTree looks at the header of a device tree.
func checkTree(files fs.FS, name string, size int64) error {
	head, err := readHead(files, name, 8)
	if err != nil {
		return err
	}
	magic, says := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
	if magic != fdt.Magic || int64(says) > size {
		return fmt.Errorf("no whole device tree: magic %#x, %d bytes of %d", magic, size, says)
	}
	return nil
}

func (c *checker) checkCmdline() {
	line, err := readLimited(c.files, card.CmdlineName, slot.MaxCmdline)
	if err != nil {
		return // checkFiles has said it
	}
	named, err := slot.CmdlineSlot(line)
	root := "root=PARTUUID=" + card.PartitionID(card.Boot+1) + "/"
	switch {
	case err != nil:
		c.addProblem("%s: %v", card.CmdlineName, err)
	case named != c.slot:
		c.addProblem("%s names the root of slot %s, want %s", card.CmdlineName, named, c.slot)
	case !strings.Contains(string(line), root) || !strings.Contains(string(line), "init=/gokrazy/init"):
		c.addProblem("%s lacks %s or init=/gokrazy/init", card.CmdlineName, root)
	}
}

// checkKernel finds the kernel's release: its own word, or that of the list of sources.
func (c *checker) checkKernel() {
	listed := c.listedRelease()
	f, err := c.files.Open(board.KernelName)
	if err != nil {
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		c.addProblem("%s: %v", board.KernelName, err)
		return
	}
	c.release, err = Release(f, info.Size())
	switch {
	case errors.Is(err, ErrPacked):
		c.release = listed
	case err != nil:
		c.addProblem("%v", err)
	case listed != "" && listed != c.release:
		c.addProblem("%s says kernel %s, the kernel is %s", card.SourcesName, listed, c.release)
	}
}

func (c *checker) listedRelease() string {
	b, err := readLimited(c.files, card.SourcesName, maxSources)
	if err != nil {
		return ""
	}
	var list card.Provenance
	err = json.Unmarshal(b, &list)
	if err != nil || list.Board != c.board.Name || list.Release == "" {
		c.addProblem("%s: of board %q, kernel %q: %v", card.SourcesName, list.Board, list.Release, err)
	}
	return list.Release
}

// checkInitrd compares the modules of the initramfs with the kernel.
func (c *checker) checkInitrd() {
	if len(c.board.EarlyModules)+len(c.board.LateModules) == 0 {
		return
	}
	f, err := c.files.Open(card.InitrdName)
	if err != nil {
		return
	}
	defer f.Close()
	if err := checkArchive(f, c.release); err != nil {
		c.addProblem("%s: %v", card.InitrdName, err)
	}
}

// checkRoot looks for the programs and for the board's name.
func (c *checker) checkRoot() {
	for _, p := range card.RootPrograms() {
		if err := c.checkProgram(p.Path); err != nil {
			c.addProblem("root: %s: %v", p.Path, err)
		}
	}
	name, err := readLimited(c.root, card.BoardFile, 64)
	if got := strings.TrimSpace(string(name)); err != nil || got != c.board.Name {
		c.addProblem("root: made for board %q, this is %s", got, c.board.Name)
	}
}

func (c *checker) checkProgram(name string) error {
	info, err := fs.Stat(c.root, name)
	switch {
	case err != nil:
		return errors.New("is missing")
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("cannot be started, mode %v", info.Mode())
	}
	head, err := readHead(c.root, name, 20)
	if err != nil {
		return err
	}
	if machine := elf.Machine(binary.LittleEndian.Uint16(head[18:])); string(head[:4]) != elf.ELFMAG ||
		machine.String() != c.board.Machine {
		return fmt.Errorf("made for %v, board %s is %s", machine, c.board.Name, c.board.Machine)
	}
	return nil
}

// checkModules looks for those that the board's init loads, made for this very kernel.
func (c *checker) checkModules() {
	if len(c.board.Modules) == 0 || c.release == "" {
		return
	}
	folder := path.Join(modulesFolder, c.release)
	builtin, err := readLimited(c.root, path.Join(folder, "modules.builtin"), maxBuiltin)
	if err != nil {
		c.addProblem("root: no modules of kernel %s, %s", c.release, c.otherModules())
		return
	}
	inKernel := strings.Fields(string(builtin))
	for _, name := range c.board.Modules {
		if slices.Contains(inKernel, name) {
			continue
		}
		b, err := readLimited(c.root, path.Join(folder, name), maxModule)
		if err != nil {
			c.addProblem("root: module %s is missing", path.Base(name))
			continue
		}
		switch info, err := initramfs.ParseModinfo(b); {
		case err != nil:
			c.addProblem("root: %s: %v", path.Base(name), err)
		case info.Release != c.release:
			c.addProblem("root: module %s is made for kernel %s, the kernel is %s", path.Base(name), info.Release,
				c.release)
		}
	}
}

// otherModules names the kernels whose modules are there instead.
func (c *checker) otherModules() string {
	entries, err := fs.ReadDir(c.root, modulesFolder)
	if err != nil || len(entries) == 0 {
		return "nor of another"
	}
	var names []string
	for _, e := range entries[:min(len(entries), maxProblems)] {
		names = append(names, e.Name())
	}
	return "only of " + strings.Join(names, ", ")
}

// readLimited reads a plain file of at most limit bytes.
func readLimited(files fs.FS, name string, limit int64) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", name, limit)
	}
	return b, err
}

// readHead reads the first n bytes of a file.
func readHead(files fs.FS, name string, n int) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("first %d bytes: %w", n, err)
	}
	return b, nil
}
