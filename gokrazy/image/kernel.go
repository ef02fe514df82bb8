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
	if bytes.HasPrefix(vmlinuz, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(vmlinuz))
		if err != nil {
			return "", fmt.Errorf("kernel: %w", err)
		}
		return releaseIn(io.LimitReader(z, maxKernel))
	}
	if isZImage(vmlinuz) {
		if err := checkZImage(vmlinuz); err != nil {
			return "", fmt.Errorf("kernel: %w", err)
		}
		return "", ErrPackedKernel
	}
	return releaseIn(bytes.NewReader(vmlinuz))
}

// The banner, and the bytes behind it that are looked at.
const (
	banner     = "Linux version "
	maxRelease = 80
)

// releaseIn looks for the banner, block by block: a packed kernel of a stranger's may be all that
// maxKernel allows.
func releaseIn(r io.Reader) (string, error) {
	block := make([]byte, 1<<20)
	kept := 0 // of the block before: the banner may lie across two
	for {
		n, err := io.ReadFull(r, block[kept:])
		all := block[:kept+n]
		for rest := all; ; {
			_, after, found := bytes.Cut(rest, []byte(banner))
			if !found || err == nil && len(after) < maxRelease {
				break
			}
			// The banner also stands there as a format, "Linux version %s".
			word, _, _ := strings.Cut(string(after[:min(len(after), maxRelease)]), " ")
			if word != "" && word[0] >= '0' && word[0] <= '9' && !strings.ContainsAny(word, "%\x00\n/") {
				return word, nil
			}
			rest = after
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return "", fmt.Errorf("kernel: %w", errNoRelease)
		case err != nil:
			return "", fmt.Errorf("kernel: %w", err)
		}
		kept = copy(block, all[len(all)-min(len(all), len(banner)+maxRelease):])
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
