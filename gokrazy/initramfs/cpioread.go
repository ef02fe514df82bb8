// Reading an archive back: what camctl inspect and the tests look at. Test with
// fuzzed archives: FuzzList.

package initramfs

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
)

const (
	// maxFile bounds one entry, maxName a path (PATH_MAX), maxEntries the count.
	maxFile    = 64 << 20
	maxName    = 4096
	maxEntries = 4096
)

// A File is one entry of an archive; folders and devices have no bytes.
type File struct {
	Name  string
	Mode  uint32 // as in st_mode: type and permissions
	Bytes []byte
}

// List reads a gzipped archive of one part, as Build makes them. An archive of another
// kind is an ErrDamaged.
func List(r io.Reader) ([]File, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("initramfs: %w: %w", err, ErrDamaged)
	}
	var all []File
	for range maxEntries {
		f, err := readFile(z)
		if err != nil {
			return nil, fmt.Errorf("initramfs: entry %d: %w: %w", len(all)+1, err, ErrDamaged)
		}
		if f.Name == newcTrailer {
			return all, nil
		}
		all = append(all, f)
	}
	return nil, fmt.Errorf("initramfs: more than %d entries: %w", maxEntries, ErrDamaged)
}

// errEntry is always wrapped together with ErrDamaged.
var errEntry = errors.New("no entry of a newc archive")

func readFile(r io.Reader) (File, error) {
	var header [newcHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return File{}, err
	}
	if string(header[:len(newcMagic)]) != newcMagic {
		return File{}, errEntry
	}
	field := func(i int) (int64, error) {
		n, err := strconv.ParseUint(string(header[len(newcMagic)+8*i:][:8]), 16, 32)
		return int64(n), err
	}
	mode, modeErr := field(1)
	size, sizeErr := field(6)
	length, lengthErr := field(11)
	if err := errors.Join(modeErr, sizeErr, lengthErr); err != nil {
		return File{}, err
	}
	if length < 2 || length > maxName || size > maxFile {
		return File{}, fmt.Errorf("name of %d bytes, file of %d: %w", length, size, errEntry)
	}
	name, err := readPadded(r, newcHeader, length)
	if err != nil {
		return File{}, err
	}
	b, err := readPadded(r, 0, size)
	return File{Name: string(name[:length-1]), Mode: uint32(mode), Bytes: b}, err
}

// readPadded reads n bytes, which follow after others, and the padding behind them. It
// allocates what comes, not what the header claims.
func readPadded(r io.Reader, after, n int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, n+-(after+n)&3))
	if err == nil && int64(len(b)) < n {
		err = io.ErrUnexpectedEOF
	}
	return b[:min(n, int64(len(b)))], err
}
