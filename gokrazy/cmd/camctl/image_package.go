// camctl image: where a board's kernel and boot firmware come from.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
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
