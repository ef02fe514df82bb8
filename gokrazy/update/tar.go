// The tar members of a bundle. A header is a function of name and size: all else is fixed, so that
// offsets can be computed, one bundle has one form, and a reader compares whole headers instead of
// parsing them. Spec: POSIX.1-2017 pax, "ustar Interchange Format".

package update

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

const (
	tarBlock = 512
	// tarTime is in each header: 2026-01-01. GNU tar complains about 1970.
	tarTime = 1767225600
	// tarMode is of all members: read by all, written by none.
	tarMode = 0o444
)

// A tarHeader is that of one plain file.
type tarHeader [tarBlock]byte

// newTarHeader is for a name of at most maxPartName bytes.
func newTarHeader(name string, size int64) (h tarHeader) {
	copy(h[0:100], name)
	copy(h[100:], fmt.Sprintf("%07o", tarMode))
	copy(h[108:], "0000000") // owner
	copy(h[116:], "0000000") // group
	copy(h[124:], fmt.Sprintf("%011o", size))
	copy(h[136:], fmt.Sprintf("%011o", int64(tarTime)))
	copy(h[148:], "        ") // the sum counts itself as blanks
	h[156] = '0'              // a plain file
	copy(h[257:], "ustar\x0000")
	copy(h[329:], "0000000") // device numbers, which a file has not
	copy(h[337:], "0000000")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// size is what the header claims.
func (h *tarHeader) size() (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimRight(string(h[124:136]), "\x00"), 8, 64)
	return n, err == nil && n >= 0
}

// name is what the header claims, for people.
func (h *tarHeader) name() string {
	name, _, _ := bytes.Cut(h[:100], []byte{0})
	return string(name)
}

// padded is size, up to the end of its last block.
func padded(size int64) int64 { return (size + tarBlock - 1) / tarBlock * tarBlock }

// Offsets gives, for each of parts, where its bytes begin in a bundle of these parts, and the size
// of that bundle. raw and sig are the lengths of manifest and signature.
func Offsets(parts []Part, raw, sig int) (at []int64, size int64) {
	size = tarBlock + padded(int64(raw)) + tarBlock + padded(int64(sig))
	for _, p := range parts {
		size += tarBlock
		at = append(at, size)
		size += padded(p.Size)
	}
	return at, size + 2*tarBlock // the end is two blocks of zeros
}
