// What goes into an image, as it lies on the machine that builds it: programs,
// kernel, boot firmware. Read here, checked in check.go.

package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/uboot"
)

// Parts names the files that an image is made of.
type Parts struct {
	Programs string  // folder with card.RootPrograms, and preinit if the board has an initramfs
	Kernel   Package // folder with vmlinuz, device trees, overlays, lib/modules
	Firmware Package // folder with the boot firmware
	UBoot    Package // folder with u-boot.bin, of a board whose boot firmware starts it
	// Licences gives the licence text of a Go module that is linked into one of
	// the programs; "std" is Go itself.
	Licences func(modulePath, version string) ([]byte, error)
	Pins     []byte // scripts/pins: the versions of the C libraries in camsource; may be nil
	// UpdateKeys are public keys of minisign that may sign updates of the image; none: a board takes no
	// update unless its configuration has a key.
	UpdateKeys []string
	Version    string // of the image; "": that of the commit that its programs were built from
	Index      int64  // the same; 0: the commit's time
	Defaults   []byte // a configuration without secrets that counts where a board's own says nothing; may be nil
}

// A Package is a Go module or a Debian package, unpacked.
type Package struct {
	Folder  string
	Name    string // of the Go module or the Debian package
	Version string
	SHA256  string // of the Debian package
	Sum     string // of the Go module, as go.sum has it
}

// packages are those that the parts name.
func (p Parts) packages() []Package {
	all := []Package{p.Kernel, p.Firmware}
	if p.UBoot != (Package{}) {
		all = append(all, p.UBoot)
	}
	return all
}

// material is Parts, read.
type material struct {
	programs []disk.Entry // paths below the root
	about    []Program    // the same, looked into
	kernel   []byte
	release  string
	modules  []disk.Entry // paths below the root
	initrd   *initrd      // nil: the board has no initramfs
	slot     []disk.Entry // the kernel's device trees and overlays; paths below a slot's folder
	trees    []disk.Entry // those of them that lie beside the slots; paths below the boot partition
	firmware []disk.Entry // boot firmware, likewise
	uBoot    []disk.Entry // U-Boot, likewise
	raw      []rawFile
	licences []disk.Entry // paths below the boot partition
	defaults []byte       // krazycam.json of the root
}

// readParts reads and checks everything. Every error is one a person can act on.
func readParts(b board.Board, p Parts) (material, error) {
	m := material{defaults: []byte("{}\n")}
	if p.Defaults != nil {
		m.defaults = p.Defaults
	}
	for _, read := range []func(board.Board, Parts) error{
		m.readPrograms, m.readKernel, m.readModules, m.readBootFiles, m.readUBoot, m.readRaw, m.readInitrd,
		m.readLicences,
	} {
		if err := read(b, p); err != nil {
			return material{}, err
		}
	}
	return m, nil
}

// maxPartBytes is more than any program, kernel, module or file of boot firmware has.
const maxPartBytes = 256 << 20

func (m *material) readPrograms(b board.Board, p Parts) error {
	for _, want := range card.RootPrograms() {
		bytes, err := m.readProgram(b, filepath.Join(p.Programs, path.Base(want.Path)), want.Path, want.Cgo)
		if err != nil {
			return err
		}
		m.programs = append(m.programs, disk.Entry{Path: want.Path, Mode: 0o755, Bytes: bytes})
	}
	return nil
}

// readProgram reads and checks a program that will lie at place in the image.
func (m *material) readProgram(b board.Board, file, place string, cgo bool) ([]byte, error) {
	bytes, err := openfile.Read(file, maxPartBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w %s: build it with scripts/build %s", ErrMissing, file, b.Arch)
	}
	if err != nil {
		return nil, err
	}
	about, err := ReadProgram(place, bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := CheckProgram(b, about, cgo); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	m.about = append(m.about, about)
	return bytes, nil
}

func (m *material) readKernel(b board.Board, p Parts) error {
	file := filepath.Join(p.Kernel.Folder, board.KernelName)
	var err error
	if m.kernel, err = openfile.Read(file, maxPartBytes); err != nil {
		return fmt.Errorf("%w kernel: %w", ErrMissing, err)
	}
	m.release, err = KernelRelease(m.kernel)
	if errors.Is(err, ErrPackedKernel) {
		m.release, err = modulesRelease(p.Kernel.Folder)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// readModules takes the modules that the board's init loads and the list of what is
// built in: nothing for a board whose initramfs has them all.
func (m *material) readModules(b board.Board, p Parts) error {
	if len(b.Modules)+len(b.MoreModules) == 0 {
		return nil
	}
	folder, err := m.moduleFolder(p)
	if err != nil {
		return err
	}
	builtin, err := openfile.Read(filepath.Join(folder, "modules.builtin"), maxPartBytes)
	if err != nil {
		return fmt.Errorf("%w list of what the kernel holds: %w", ErrMissing, err)
	}
	deps, err := openfile.Read(filepath.Join(folder, "modules.dep"), maxPartBytes)
	if err != nil {
		return fmt.Errorf("%w list of what modules need: %w", ErrMissing, err)
	}
	var found []string
	inKernel := strings.Fields(string(builtin))
	for _, name := range slices.Concat(b.Modules, b.MoreModules) {
		bytes, err := openfile.Read(filepath.Join(folder, filepath.FromSlash(name)), maxPartBytes)
		if errors.Is(err, fs.ErrNotExist) && slices.Contains(inKernel, name) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w module %s of kernel %s: %w", ErrMissing, name, m.release, err)
		}
		if err := checkModule(name, bytes, m.release); err != nil {
			return err
		}
		found = append(found, name)
		m.modules = append(m.modules, disk.Entry{Path: path.Join("lib/modules", m.release, name), Mode: 0o644,
			Bytes: bytes})
	}
	m.modules = append(m.modules, disk.Entry{Path: path.Join("lib/modules", m.release, "modules.builtin"),
		Mode: 0o644, Bytes: builtin})
	return checkOrder(found, string(deps))
}

// moduleFolder is that of the very kernel in the image.
func (m *material) moduleFolder(p Parts) (string, error) {
	folder := filepath.Join(p.Kernel.Folder, "lib", "modules", m.release)
	if _, err := os.Stat(folder); err != nil {
		return "", fmt.Errorf("%w modules of kernel %s: %w", ErrMissing, m.release, err)
	}
	return folder, nil
}

// readBootFiles takes what the board's patterns match in kernel and boot firmware.
func (m *material) readBootFiles(b board.Board, p Parts) error {
	for _, of := range []struct {
		patterns []string
		folder   string
		files    *[]disk.Entry
	}{
		{b.KernelFiles, p.Kernel.Folder, &m.slot},
		{b.DeviceTrees, p.Kernel.Folder, &m.trees},
		{b.FirmwareFiles, p.Firmware.Folder, &m.firmware},
	} {
		for _, pattern := range of.patterns {
			files, err := matchingFiles(of.folder, pattern)
			if err != nil {
				return fmt.Errorf("board %s: %w", b.Name, err)
			}
			*of.files = append(*of.files, files...)
		}
	}
	return nil
}

// matchingFiles reads what a pattern matches below a folder; nothing is an error.
func matchingFiles(folder, pattern string) (files []disk.Entry, err error) {
	matches, err := fs.Glob(os.DirFS(folder), pattern)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	for _, name := range matches {
		bytes, err := openfile.Read(filepath.Join(folder, filepath.FromSlash(name)), maxPartBytes)
		if err != nil {
			return nil, err
		}
		files = append(files, disk.Entry{Path: name, Bytes: bytes})
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w boot file %s: none in %s", ErrMissing, pattern, folder)
	}
	return files, nil
}

// top is everything beside the slots that came out of a package.
func (m *material) top() []disk.Entry { return slices.Concat(m.firmware, m.trees, m.uBoot) }

// readUBoot takes the U-Boot that a boot firmware starts, changed so that it waits for nobody.
func (m *material) readUBoot(b board.Board, p Parts) error {
	if b.UBoot == (board.Origin{}) {
		return nil
	}
	file := filepath.Join(p.UBoot.Folder, card.UBootName)
	bytes, err := openfile.Read(file, maxPartBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w %s: scripts/parts %s fetches it", ErrMissing, file, b.Name)
	}
	if err == nil {
		bytes, err = uboot.Unattended(bytes, b.BootTargets)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	m.uBoot = append(m.uBoot, disk.Entry{Path: card.UBootName, Bytes: bytes})
	return nil
}
