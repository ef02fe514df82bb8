// Names of parts: what FAT, tar and a careless reader of either take alike.

package update

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

const (
	// maxPartName is what the name field of a ustar header holds.
	maxPartName = 100
	// maxComponent is far above any file of a boot partition, and below FAT's 255.
	maxComponent = 64
	// partNameChars are in the names of kernels, device trees and overlays. All are allowed on FAT.
	partNameChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-,@~="
)

var errPartName = errors.New("not the name of a part")

// partNames collects the names of a manifest's parts. Names differ in more than capitals, since
// FAT does not tell these apart.
type partNames struct {
	taken map[string]bool // in small letters
}

// add refuses a name that cannot be a part, or that is there already.
func (n *partNames) add(name string) error {
	if n.taken == nil {
		n.taken = map[string]bool{}
	}
	if name != RootName {
		if err := checkPartPath(name); err != nil {
			return err
		}
	}
	small := strings.ToLower(name)
	if n.taken[small] || small == RootName && name != RootName {
		return fmt.Errorf("%w: FAT takes it for another one", errPartName)
	}
	n.taken[small] = true
	return nil
}

// checkFolders refuses a name that is a file here and a folder there.
func (n *partNames) checkFolders() error {
	for name := range n.taken {
		for d := path.Dir(name); d != "."; d = path.Dir(d) {
			if n.taken[d] {
				return fmt.Errorf("part %q: %w: %q above it is a file", name, errPartName, d)
			}
		}
	}
	return nil
}

// checkPartPath refuses what is no plain path below "boot/": whole, relative, without "..",
// backslashes, drives, or characters and ends that FAT cannot hold.
func checkPartPath(name string) error {
	below, ok := strings.CutPrefix(name, BootPrefix)
	switch {
	case !ok:
		return fmt.Errorf("%w: neither %s nor below %s", errPartName, RootName, BootPrefix)
	case len(name) > maxPartName:
		return fmt.Errorf("%w: longer than %d bytes", errPartName, maxPartName)
	case strings.EqualFold(below, ManifestName), strings.EqualFold(below, SignatureName):
		return fmt.Errorf("%w: the manifest's own", errPartName)
	}
	for _, c := range strings.Split(below, "/") {
		switch {
		case c == "" || len(c) > maxComponent:
			return fmt.Errorf("%w: a component of %d bytes", errPartName, len(c))
		case strings.ContainsFunc(c, notPartNameChar):
			return fmt.Errorf("%w: letters, digits and ._+-,@~= only", errPartName)
		case c[0] == '.' || c[len(c)-1] == '.':
			return fmt.Errorf("%w: a dot at an end", errPartName)
		}
	}
	return nil
}

func notPartNameChar(r rune) bool { return !strings.ContainsRune(partNameChars, r) }
