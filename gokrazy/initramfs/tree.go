// The kernel's folder of modules: which are files, which are built in, which bear an
// alias.

package initramfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// maxList bounds modules.builtin and modules.builtin.modinfo: Debian's have 14 and
// 140 kB.
const maxList = 4 << 20

// A module is a file that goes in.
type module struct {
	path  string
	bytes []byte
	info  Modinfo
}

// A tree is an indexed folder. Names are in the kernel's form.
type tree struct {
	files   fs.FS
	paths   map[string]string   // by name
	builtIn map[string]bool     // names, and aliases of what is built in
	aliases map[string][]string // to names, sorted; nil before the first call of modulesWithAlias
}

func readTree(files fs.FS) (*tree, error) {
	t := &tree{files: files, paths: map[string]string{}, builtIn: map[string]bool{}}
	if err := t.findFiles(); err != nil {
		return nil, err
	}
	list, err := readLimited(files, "modules.builtin", maxList)
	if err != nil {
		return nil, fmt.Errorf("list of what the kernel holds: %w", err)
	}
	for line := range strings.Lines(string(list)) { // "kernel/lib/crc32.ko"
		if name, ok := moduleName(strings.TrimSpace(line)); ok {
			t.builtIn[name] = true
		}
	}
	// Kernels before 5.2 have no such file; without it a soft dependency on an alias
	// of what is built in is merely not found.
	info, err := readLimited(files, "modules.builtin.modinfo", maxList)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for field := range bytes.SplitSeq(info, []byte{0}) { // "debugfs.alias=fs-debugfs"
		if _, alias, ok := strings.Cut(string(field), ".alias="); ok {
			t.builtIn[kernelName(alias)] = true
		}
	}
	return t, nil
}

func (t *tree) findFiles() error {
	return fs.WalkDir(t.files, "kernel", func(file string, d fs.DirEntry, err error) error {
		name, ok := moduleName(file)
		if err != nil || !ok || d.IsDir() {
			return err
		}
		if other, twice := t.paths[name]; twice {
			return fmt.Errorf("modules %s and %s have one name: %w", other, file, ErrDamaged)
		}
		t.paths[name] = file
		return nil
	})
}

// moduleName gives the kernel's name of a file.
func moduleName(file string) (string, bool) {
	base, ok := strings.CutSuffix(path.Base(file), ".ko")
	return kernelName(base), ok && base != ""
}

// readModule reads the module of that name.
func (t *tree) readModule(name string) (module, error) {
	file, ok := t.paths[name]
	if !ok {
		return module{}, fmt.Errorf("module %s: %w", name, ErrNoModule)
	}
	b, err := readLimited(t.files, file, maxModule)
	if err != nil {
		return module{}, err
	}
	info, err := ParseModinfo(b)
	if err != nil {
		return module{}, fmt.Errorf("%s: %w", file, err)
	}
	return module{file, b, info}, nil
}

// modulesWithAlias lists the modules that bear an alias. The package has no index of them, so
// the first call reads every module.
func (t *tree) modulesWithAlias(alias string) ([]string, error) {
	if t.aliases == nil {
		t.aliases = map[string][]string{}
		for name := range t.paths {
			m, err := t.readModule(name)
			if err != nil {
				return nil, err
			}
			for _, a := range m.info.Aliases {
				t.aliases[a] = append(t.aliases[a], name)
			}
		}
		for _, names := range t.aliases {
			slices.Sort(names) // a map has no order, the archive must
		}
	}
	return t.aliases[alias], nil
}

// readLimited reads a file of at most limit bytes.
func readLimited(files fs.FS, name string, limit int64) ([]byte, error) {
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, can have %d: %w", name, info.Size(), limit, ErrDamaged)
	}
	return fs.ReadFile(files, name)
}
