// The kernel's release, which a plain kernel says in its banner and a zImage keeps to itself.
// Spec: Linux arch/arm/boot/compressed/head.S, the words at label start.

package whole

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrPacked means that a kernel is a whole zImage, which does not say its release in the clear.
// Its modules and the list of sources do.
var ErrPacked = errors.New("a zImage does not say its release")

// ErrZImage means that a zImage is damaged or cut short.
var ErrZImage = errors.New("zImage")

// ErrNoRelease means that there is no banner in a kernel.
var ErrNoRelease = errors.New("no release in it")

const (
	// maxKernel is the most bytes of a kernel that are looked at, unpacked.
	maxKernel = 128 << 20

	zImageHeader = 0x34 // up to the word that shows the order of bytes
	zImageMagic  = 0x016f2818
	zImageOrder  = 0x04030201

	// The banner, and the bytes behind it that are looked at.
	banner     = "Linux version "
	maxRelease = 80
)

// Release finds what uname -r will say in a plain or gzipped kernel of size bytes: "6.12.47-v8". Of
// a whole zImage it says ErrPacked. It holds a megabyte of the kernel at a time.
func Release(kernel io.Reader, size int64) (string, error) {
	release, err := findRelease(kernel, size)
	if err != nil && !errors.Is(err, ErrPacked) {
		return "", fmt.Errorf("kernel: %w", err)
	}
	return release, err
}

func findRelease(kernel io.Reader, size int64) (string, error) {
	in := bufio.NewReader(kernel)
	head, err := in.Peek(zImageHeader)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return "", err
		}
		return releaseIn(io.LimitReader(z, maxKernel))
	case len(head) == zImageHeader && zImageWord(head, 0x24) == zImageMagic:
		if err := checkZImage(head, size); err != nil {
			return "", err
		}
		return "", ErrPacked
	}
	return releaseIn(io.LimitReader(in, maxKernel))
}

// zImageWord reads a word of the header.
func zImageWord(head []byte, at int) uint32 { return binary.LittleEndian.Uint32(head[at:]) }

// checkZImage refuses one that was cut short. More bytes than it says are a device tree
// that was put behind it.
func checkZImage(head []byte, have int64) error {
	if order := zImageWord(head, 0x30); order != zImageOrder {
		return fmt.Errorf("%w: order of bytes %#x, want %#x", ErrZImage, order, uint32(zImageOrder))
	}
	start, end := int64(zImageWord(head, 0x28)), int64(zImageWord(head, 0x2c))
	if size := end - start; size < zImageHeader || size > have {
		return fmt.Errorf("%w: says that it has %d bytes, there are %d", ErrZImage, size, have)
	}
	return nil
}

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
			return "", ErrNoRelease
		case err != nil:
			return "", err
		}
		kept = copy(block, all[len(all)-min(len(all), len(banner)+maxRelease):])
	}
}
