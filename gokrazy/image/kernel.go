// The kernel's release: its own word, or that of its modules.

package image

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/krazycam/krazycam/gokrazy/slot/whole"
)

// ErrPackedKernel means that a kernel is a zImage, which does not say its release in the
// clear. Its modules and the list of sources do.
var ErrPackedKernel = whole.ErrPacked

// KernelRelease finds what uname -r will say in a plain or gzipped kernel: "6.12.47-v8". Of a whole
// zImage it says ErrPackedKernel.
func KernelRelease(vmlinuz []byte) (string, error) {
	release, err := whole.Release(bytes.NewReader(vmlinuz), int64(len(vmlinuz)))
	if errors.Is(err, whole.ErrZImage) {
		err = fmt.Errorf("%w: %w", err, ErrUnfit)
	}
	return release, err
}

// modulesRelease is the release of the only kernel that folder has modules for.
func modulesRelease(folder string) (string, error) {
	folder = filepath.Join(folder, "lib", "modules")
	found, err := os.ReadDir(folder)
	if err != nil {
		return "", fmt.Errorf("%w modules of the kernel: %w", ErrMissing, err)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%w: %s has modules for %d kernels, want one: a zImage does not say which of them it is",
			ErrUnfit, folder, len(found))
	}
	return found[0].Name(), nil
}
