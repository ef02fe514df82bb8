// camctl image: where a board's kernel and boot firmware come from.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/image"
)

// findPackage finds a part of a board. A folder given by the owner instead of a Go
// module has no version; that of a Debian package is the one that scripts/parts
// fetched, and pins, the bytes of scripts/pins, says which that is.
func findPackage(ctx context.Context, o board.Origin, folder string, pins []byte) (image.Package, error) {
	switch {
	case o.Package != "":
		return debianPackage(o.Package, folder, pins)
	case folder != "":
		return image.Package{Folder: folder, Name: o.Module, Version: "local"}, nil
	}
	return modulePackage(ctx, o.Module)
}

// modulePackage finds a Go module of this repository's go.mod in the module cache,
// and fetches it if it is not there.
func modulePackage(ctx context.Context, module string) (image.Package, error) {
	out, err := goCommand(ctx, "mod", "download", "-json", module)
	if err != nil {
		return image.Package{}, fmt.Errorf("%s: %w", module, err)
	}
	var m struct{ Dir, Version, Sum string }
	if err := json.Unmarshal(out, &m); err != nil {
		return image.Package{}, fmt.Errorf("%s: go mod download: %w", module, err)
	}
	return image.Package{Folder: m.Dir, Name: module, Version: m.Version, Sum: m.Sum}, nil
}

// findFolders asks scripts/parts for the folders of Debian packages that no flag names. Outside of the
// repository, where that script is not, they stay unknown.
func (f *imageFlags) findFolders(ctx context.Context, b board.Board) error {
	missing := false
	for _, of := range []struct {
		origin board.Origin
		folder string
	}{{b.Kernel, f.kernel}, {b.BootFirmware, f.firmware}, {b.UBoot, f.uBoot}} {
		missing = missing || of.origin.Package != "" && of.folder == ""
	}
	if !missing {
		return nil
	}
	out, err := exec.CommandContext(ctx, filepath.Join("scripts", "parts"), b.Name).Output()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return fmt.Errorf("scripts/parts %s: %w: %s", b.Name, err, strings.TrimSpace(string(failed.Stderr)))
	}
	if err != nil {
		return fmt.Errorf("scripts/parts %s: %w", b.Name, err)
	}
	words := strings.Fields(string(out)) // flags and their folders
	for i := 0; i+1 < len(words); i += 2 {
		for flag, folder := range map[string]*string{
			"--kernel": &f.kernel, "--boot-firmware": &f.firmware, "--u-boot": &f.uBoot,
		} {
			if words[i] == flag && *folder == "" {
				*folder = words[i+1]
			}
		}
	}
	return nil
}

// debianPackage finds the one line of pins whose package fits the pattern.
func debianPackage(pattern, folder string, pins []byte) (image.Package, error) {
	if folder == "" {
		return image.Package{}, usagef("Debian package %s: give its folder with --kernel, --boot-firmware "+
			"or --u-boot: scripts/image does", pattern)
	}
	for line := range strings.Lines(string(pins)) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		fits, err := path.Match(pattern, f[0])
		if err != nil {
			return image.Package{}, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if fits {
			return image.Package{Folder: folder, Name: f[0], Version: f[2], SHA256: f[3]}, nil
		}
	}
	return image.Package{}, fmt.Errorf("no line for the Debian package %s in the file of --pins: "+
		"its version is unknown", pattern)
}
