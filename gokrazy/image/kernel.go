// The kernel's release: its own word, or that of its modules.

package image

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxKernel is the most bytes of a kernel that are unpacked.
const maxKernel = 128 << 20

var errNoRelease = errors.New("no release in it")

// ErrPackedKernel means that a kernel is a zImage, which does not say its release in the
// clear. Its modules and the list of sources do.
var ErrPackedKernel = errors.New("a zImage does not say its release")

// KernelRelease finds what uname -r will say in a plain or gzipped kernel: "6.12.47-v8".
// The kernel's banner begins "Linux version ". Of a whole zImage it says ErrPackedKernel.
func KernelRelease(vmlinuz []byte) (string, error) {
	const banner = "Linux version "
	if bytes.HasPrefix(vmlinuz, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(vmlinuz))
		if err != nil {
			return "", fmt.Errorf("kernel: %w", err)
		}
		if vmlinuz, err = io.ReadAll(io.LimitReader(z, maxKernel)); err != nil {
			return "", fmt.Errorf("kernel: %w", err)
		}
	}
	if isZImage(vmlinuz) {
		if err := checkZImage(vmlinuz); err != nil {
			return "", fmt.Errorf("kernel: %w", err)
		}
		return "", ErrPackedKernel
	}
	for rest := vmlinuz; ; {
		_, after, found := bytes.Cut(rest, []byte(banner))
		if !found {
			return "", fmt.Errorf("kernel: %w", errNoRelease)
		}
		// The banner also stands there as a format, "Linux version %s".
		word, _, _ := strings.Cut(string(after[:min(len(after), 80)]), " ")
		if word != "" && word[0] >= '0' && word[0] <= '9' && !strings.ContainsAny(word, "%\x00\n/") {
			return word, nil
		}
		rest = after
	}
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
