// The licence texts on the boot partition: of everything that is in the image.

package image

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// codecLicences are Debian's copyright files of the C libraries in camsource.
//
//go:embed licences/*.txt
var codecLicences embed.FS

// A goModule is one that is linked into at least one program. sum is that of go.sum, "" for
// Go itself and our own.
type goModule struct{ path, version, sum string }

// linkedModules lists the modules of all programs, sorted, Go itself as "std".
func linkedModules(programs []Program) []goModule {
	var all []goModule
	for _, p := range programs {
		version, _, _ := strings.Cut(p.Go, " ") // "go1.26.1 X:nosomething"
		all = append(all, goModule{path: "std", version: version})
		for _, m := range p.modules {
			all = append(all, goModule{m.Path, m.Version, m.Sum})
		}
	}
	slices.SortFunc(all, func(a, b goModule) int {
		return strings.Compare(a.path+"@"+a.version, b.path+"@"+b.version)
	})
	return slices.Compact(all)
}

// moduleLicence is the file on the boot partition for a Go module.
func moduleLicence(module string) string {
	return path.Join(card.LicenceFolder, "go", strings.NewReplacer("/", "_", ":", "_").Replace(module)+".txt")
}

// partLicence is the same for a kernel, boot firmware or C library by its name as a module
// or Debian package.
func partLicence(name string) string {
	return path.Join(card.LicenceFolder, strings.ReplaceAll(name, "/", "_")+".txt")
}

// readLicences refuses a module without a licence: it may not be distributed.
func (m *material) readLicences(_ board.Board, p Parts) error {
	add := func(file string, text []byte) {
		m.licences = append(m.licences, disk.Entry{Path: file, Bytes: text})
	}
	seen := map[string]bool{}
	for _, linked := range linkedModules(m.about) {
		if seen[linked.path] {
			continue // the same module in another version: the text is the same
		}
		seen[linked.path] = true
		text, err := p.Licences(linked.path, linked.version)
		if err != nil {
			return fmt.Errorf("licence of %s: %w", linked.path, err)
		}
		add(moduleLicence(linked.path), text)
	}
	for _, pkg := range p.packages() {
		text, err := FolderLicence(pkg.Folder)
		if err != nil {
			return fmt.Errorf("licence of %s: %w", pkg.Folder, err)
		}
		add(partLicence(pkg.Name), text)
	}
	texts, err := codecLicences.ReadDir("licences")
	if err != nil {
		return err
	}
	for _, t := range texts {
		text, err := codecLicences.ReadFile("licences/" + t.Name())
		if err != nil {
			return err
		}
		add(path.Join(card.LicenceFolder, t.Name()), text)
	}
	return nil
}

// FolderLicence joins the texts of all licence files of a folder, in the order of
// their names. A folder without one is an error, an ErrMissing.
func FolderLicence(folder string) ([]byte, error) {
	files, err := os.ReadDir(folder) // sorted
	if err != nil {
		return nil, err
	}
	var text []byte
	for _, f := range files {
		if !f.Type().IsRegular() || !isLicence(f.Name()) {
			continue
		}
		b, err := openfile.Read(filepath.Join(folder, f.Name()), maxPartBytes)
		if err != nil {
			return nil, err
		}
		text = append(text, fmt.Sprintf("==== %s ====\n\n%s\n", f.Name(), b)...)
	}
	if len(text) == 0 {
		return nil, fmt.Errorf("%w licence: no LICENSE, COPYING or NOTICE in %s", ErrMissing, folder)
	}
	return text, nil
}

func isLicence(name string) bool {
	if strings.HasSuffix(name, ".go") {
		return false
	}
	for _, begin := range []string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS", "UNLICENSE"} {
		if strings.HasPrefix(strings.ToUpper(name), begin) {
			return true
		}
	}
	return false
}

// ModuleCacheLicences gives the texts out of Go's own folders: root is GOROOT,
// cache is GOMODCACHE, own is the folder of the main module ownPath.
func ModuleCacheLicences(root, cache, ownPath, own string) func(modulePath, version string) ([]byte, error) {
	return func(modulePath, version string) ([]byte, error) {
		switch modulePath {
		case "std":
			return FolderLicence(root)
		case ownPath:
			return FolderLicence(own)
		}
		escapedPath, err := module.EscapePath(modulePath)
		if err != nil {
			return nil, err
		}
		escapedVersion, err := module.EscapeVersion(version)
		if err != nil {
			return nil, err
		}
		text, err := FolderLicence(filepath.Join(cache, filepath.FromSlash(escapedPath+"@"+escapedVersion)))
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w: fetch it with go mod download %s@%s", err, modulePath, version)
		}
		return text, err
	}
}
