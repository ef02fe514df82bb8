// The initramfs of a board whose kernel has its storage drivers in modules.

package image

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/initramfs"
)

// preinit is the program in it, in the folder of the board's programs.
const preinit = "preinit"

// An initrd is the packed archive and what went into it.
type initrd struct {
	bytes   []byte
	modules []disk.Entry // as they lie below /lib/modules/RELEASE
}

func (m *material) readInitrd(b board.Board, p Parts) error {
	if len(b.EarlyModules)+len(b.LateModules) == 0 {
		return nil
	}
	program, err := m.readProgram(b, filepath.Join(p.Programs, preinit), card.InitrdName+"/"+initramfs.InitName, false)
	if err != nil {
		return err
	}
	modules, err := m.moduleFolder(p)
	if err != nil {
		return err
	}
	folder := os.DirFS(modules)
	var packed bytes.Buffer
	report, err := initramfs.Build(&packed, initramfs.Config{
		Init: program, Modules: folder, Early: b.EarlyModules, Late: b.LateModules,
	})
	if err != nil {
		return err
	}
	if report.Release != m.release {
		return fmt.Errorf("modules: %w: made for kernel %s, the kernel is %s", ErrUnfit, report.Release, m.release)
	}
	m.initrd = &initrd{bytes: packed.Bytes()}
	for _, name := range slices.Concat(report.Early, report.Late) {
		module, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		m.initrd.modules = append(m.initrd.modules, disk.Entry{Path: name, Bytes: module})
	}
	return nil
}

// packedSize is 0 without an initramfs.
func (i *initrd) packedSize() int64 {
	if i == nil {
		return 0
	}
	return int64(len(i.bytes))
}

// moduleCount leaves out modules.builtin, which is a list.
func (m *material) moduleCount() int {
	n := max(len(m.modules)-1, 0)
	if m.initrd != nil {
		n += len(m.initrd.modules)
	}
	return n
}
