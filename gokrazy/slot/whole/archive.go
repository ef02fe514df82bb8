// The initramfs of a board whose kernel has its storage drivers in modules: a gzipped cpio archive
// of the form "newc", as package initramfs writes it.
// Spec: Linux Documentation/driver-api/early-userspace/buffer-format.rst.

package whole

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/krazycam/krazycam/gokrazy/initramfs"
)

const (
	newcHeader = 110 // "070701" and 13 numbers of 8 hexadecimal digits
	newcMagic  = "070701"
	newcEnd    = "TRAILER!!!"
	maxName    = 4096
	maxArchive = 64 << 20 // bytes, unpacked; the BeagleBone's has 6 MB
)

var errArchive = errors.New("damaged archive")

// checkArchive reads an archive to its end: it must have an init, and modules of one kernel. An
// empty release stands for whatever kernel that is.
func checkArchive(packed io.Reader, release string) error {
	z, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("%w: %w", errArchive, err)
	}
	a := archiveReader{r: io.LimitReader(z, maxArchive)}
	modules, hasInit := 0, false
	for {
		name, body, err := a.next()
		switch {
		case errors.Is(err, io.EOF) && hasInit && modules > 0:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%d modules, init is there: %t", modules, hasInit)
		case err != nil:
			return err
		}
		hasInit = hasInit || name == initramfs.InitName && len(body) > 0
		if !strings.HasSuffix(name, ".ko") {
			continue
		}
		modules++
		switch info, err := initramfs.ParseModinfo(body); {
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case release == "":
			release = info.Release
		case info.Release != release:
			return fmt.Errorf("module %s is made for kernel %s, the kernel is %s", name, info.Release, release)
		}
	}
}

type archiveReader struct{ r io.Reader }

// next gives io.EOF behind the last entry, and only there.
func (a archiveReader) next() (name string, body []byte, err error) {
	head := make([]byte, newcHeader)
	if _, err := io.ReadFull(a.r, head); err != nil {
		return "", nil, fmt.Errorf("%w: header: %w", errArchive, notEOF(err))
	}
	size, err := newcNumber(head, 6)
	nameSize, err2 := newcNumber(head, 11)
	if err = errors.Join(err, err2); err != nil || string(head[:6]) != newcMagic || nameSize < 1 ||
		nameSize > maxName || size > maxModule {
		return "", nil, fmt.Errorf("%w: %q: a name of %d bytes, a file of %d: %w", errArchive, head[:6], nameSize,
			size, err)
	}
	// Name and file are each filled up to a multiple of 4, counted from the header.
	text, err := a.take(nameSize + -(newcHeader+nameSize)&3)
	if err != nil {
		return "", nil, err
	}
	if name = string(text[:nameSize-1]); name == newcEnd {
		return "", nil, io.EOF
	}
	if body, err = a.take(size + -size&3); err != nil {
		return "", nil, err
	}
	return name, body[:size], nil
}

func (a archiveReader) take(n int64) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(a.r, b); err != nil {
		return nil, fmt.Errorf("%w: %w", errArchive, notEOF(err))
	}
	return b, nil
}

// newcNumber reads the number i of a header.
func newcNumber(head []byte, i int) (int64, error) {
	n, err := strconv.ParseUint(string(head[6+8*i:][:8]), 16, 32)
	return int64(n), err
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
