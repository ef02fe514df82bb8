// A FIT image: a device tree that lists parts, whose bytes lie behind it, with a checksum of each.
// Specs: Devicetree Specification 0.4 chapter 5; U-Boot's doc/uImage.FIT/source_file_format.txt.

package uboot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

const (
	fdtMagic     = 0xd00dfeed
	fdtHeader    = 40
	fdtBeginNode = 1
	fdtEndNode   = 2
	fdtProperty  = 3
	fdtNop       = 4
	fdtEnd       = 9
	fdtMaxDepth  = 8 // /images/firmware-1/hash-1 has three
)

func isFIT(b []byte) bool { return len(b) >= fdtHeader && binary.BigEndian.Uint32(b) == fdtMagic }

// A fitPart is one part of a FIT image whose bytes lie behind the tree.
type fitPart struct {
	offset, size int64 // of its bytes, counted from the tree's end
	sums         int   // checksums that it has
	crc32At      int   // place of the value of its CRC32, 0 if there is none
}

// mendFIT writes the checksum of the part that holds the bytes from start to end. A part with
// another checksum beside it is refused.
func mendFIT(b []byte, start, end int) error {
	parts, err := fitParts(b)
	if err != nil {
		return fmt.Errorf("FIT image: %w", err)
	}
	behind := (int64(binary.BigEndian.Uint32(b[4:])) + 3) &^ 3
	for name, p := range parts {
		from := behind + p.offset
		if from > int64(start) || from+p.size < int64(end) {
			continue
		}
		if from+p.size > int64(len(b)) || p.sums != 1 || p.crc32At == 0 {
			return fmt.Errorf("FIT image: %s of %d bytes at %d with %d checksums, want a CRC32: %w",
				name, p.size, from, p.sums, ErrUnknownBuild)
		}
		binary.BigEndian.PutUint32(b[p.crc32At:], crc32.ChecksumIEEE(b[from:from+p.size]))
		return nil
	}
	return fmt.Errorf("FIT image: no part holds the bytes from %d to %d: %w", start, end, ErrUnknownBuild)
}

// fitParts reads the tree's /images. Everything that lies outside of b is an error.
func fitParts(b []byte) (map[string]*fitPart, error) {
	be := binary.BigEndian
	total, structure, texts := be.Uint32(b[4:]), be.Uint32(b[8:]), be.Uint32(b[12:])
	if int64(total) > int64(len(b)) || structure > total || texts > total {
		return nil, fmt.Errorf("tree of %d bytes in %d: %w", total, len(b), ErrUnknownBuild)
	}
	r := fdtReader{b: b[:total], at: int64(structure), texts: b[texts:total]}
	parts := map[string]*fitPart{}
	var path []string
	algorithms := map[string]string{} // of a hash node, by its path: "crc32"
	for {
		token, name, value, err := r.next()
		if err != nil {
			return nil, err
		}
		switch token {
		case fdtBeginNode:
			if path = append(path, name); len(path) > fdtMaxDepth {
				return nil, fmt.Errorf("nodes more than %d deep: %w", fdtMaxDepth, ErrUnknownBuild)
			}
		case fdtEndNode:
			if len(path) == 0 {
				return nil, fmt.Errorf("node without a beginning: %w", ErrUnknownBuild)
			}
			path = path[:len(path)-1]
		case fdtProperty:
			r.collect(parts, algorithms, path, name, value)
		case fdtEnd:
			return parts, nil
		}
	}
}

// collect keeps what mendFIT needs of a property.
func (r *fdtReader) collect(parts map[string]*fitPart, algorithms map[string]string, path []string, name string,
	value []byte) {
	if len(path) < 3 || path[1] != "images" {
		return
	}
	p := parts[path[2]]
	if p == nil {
		p = &fitPart{}
		parts[path[2]] = p
	}
	number := int64(0)
	if len(value) == 4 {
		number = int64(binary.BigEndian.Uint32(value))
	}
	node := strings.Join(path, "/")
	hash := len(path) == 4 && strings.HasPrefix(path[3], "hash")
	switch {
	case len(path) == 3 && name == "data-offset":
		p.offset = number
	case len(path) == 3 && name == "data-size":
		p.size = number
	case hash && name == "algo":
		p.sums++
		algorithms[node] = string(bytes.TrimRight(value, "\x00"))
	case hash && name == "value" && len(value) == 4:
		p.crc32At = int(r.valueAt)
	}
	if hash && algorithms[node] != "" && algorithms[node] != "crc32" {
		p.sums = -1
	}
}

// fdtReader reads the tokens of a flattened device tree.
type fdtReader struct {
	b       []byte
	at      int64
	texts   []byte
	valueAt int64 // of the last property
}

func (r *fdtReader) next() (token uint32, name string, value []byte, err error) {
	token, err = r.word()
	switch {
	case err != nil:
	case token == fdtBeginNode:
		length := int64(bytes.IndexByte(r.b[r.at:], 0))
		if length < 0 {
			return 0, "", nil, fmt.Errorf("node without a name at %d: %w", r.at, ErrUnknownBuild)
		}
		name = string(r.b[r.at : r.at+length])
		r.at += (length + 1 + 3) &^ 3
	case token == fdtProperty:
		return r.property()
	case token != fdtEndNode && token != fdtNop && token != fdtEnd:
		err = fmt.Errorf("token %d at %d: %w", token, r.at-4, ErrUnknownBuild)
	}
	return token, name, nil, err
}

func (r *fdtReader) property() (token uint32, name string, value []byte, err error) {
	size, err := r.word()
	if err != nil {
		return 0, "", nil, err
	}
	text, err := r.word()
	if err != nil {
		return 0, "", nil, err
	}
	if int64(size) > int64(len(r.b))-r.at || int64(text) > int64(len(r.texts)) {
		return 0, "", nil, fmt.Errorf("property of %d bytes at %d: %w", size, r.at, ErrUnknownBuild)
	}
	n, _, ok := bytes.Cut(r.texts[text:], []byte{0})
	if !ok {
		return 0, "", nil, fmt.Errorf("property without a name at %d: %w", r.at, ErrUnknownBuild)
	}
	r.valueAt = r.at
	value = r.b[r.at : r.at+int64(size)]
	r.at += (int64(size) + 3) &^ 3
	return fdtProperty, string(n), value, nil
}

func (r *fdtReader) word() (uint32, error) {
	if r.at < 0 || r.at+4 > int64(len(r.b)) {
		return 0, fmt.Errorf("tree ends at %d: %w", r.at, ErrUnknownBuild)
	}
	r.at += 4
	return binary.BigEndian.Uint32(r.b[r.at-4:]), nil
}
