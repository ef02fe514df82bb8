// The map itself: one bit a block, and the file that bmaptool reads.

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// blockSize is in bytes. It is the block of ext4 and squashfs in our images, and bmaptool's own.
const blockSize = 4096

// A blockMap says which blocks of an image of size bytes must be written.
type blockMap struct {
	size   int64
	mapped []bool
}

func newBlockMap(size int64) *blockMap {
	return &blockMap{size, make([]bool, (size+blockSize-1)/blockSize)}
}

// add maps every block that has a byte of the length bytes from start on. What lies beyond the
// image is ignored: a length of a damaged file system may be anything.
func (m *blockMap) add(start, length int64) {
	if length <= 0 || start < 0 || start >= m.size {
		return
	}
	end := m.size
	if length < m.size-start {
		end = start + length
	}
	for b := start / blockSize; b*blockSize < end; b++ {
		m.mapped[b] = true
	}
}

// addData maps every block that is not zero.
func (m *blockMap) addData(r io.ReaderAt) error {
	buf := make([]byte, 256*blockSize)
	zero := make([]byte, blockSize)
	for at := int64(0); at < m.size; at += int64(len(buf)) {
		chunk := buf[:min(int64(len(buf)), m.size-at)]
		if _, err := r.ReadAt(chunk, at); err != nil {
			return fmt.Errorf("read %d bytes at %d: %w", len(chunk), at, err)
		}
		for i := 0; i < len(chunk); i += blockSize {
			block := chunk[i:min(i+blockSize, len(chunk))]
			if !bytes.Equal(block, zero[:len(block)]) {
				m.mapped[(at+int64(i))/blockSize] = true
			}
		}
	}
	return nil
}

// ranges gives the first and the last block of each run of mapped blocks.
func (m *blockMap) ranges() [][2]int64 {
	var all [][2]int64
	for i, mapped := range m.mapped {
		switch b := int64(i); {
		case !mapped:
		case len(all) > 0 && all[len(all)-1][1] == b-1:
			all[len(all)-1][1] = b
		default:
			all = append(all, [2]int64{b, b})
		}
	}
	return all
}

// checksumPlace stands where the file's own checksum will: it is made over as many digits 0.
var checksumPlace = string(bytes.Repeat([]byte("0"), 2*sha256.Size))

// xml makes the file: format 2.0, with the checksum of each range of the image r.
func (m *blockMap) xml(r io.ReaderAt) ([]byte, error) {
	ranges, count := m.ranges(), int64(0)
	for _, run := range ranges {
		count += run[1] - run[0] + 1
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0" ?>
<!-- Which blocks of the image must be written to a card. What is left out is free space. -->
<bmap version="2.0">
    <ImageSize> %d </ImageSize>
    <BlockSize> %d </BlockSize>
    <BlocksCount> %d </BlocksCount>
    <MappedBlocksCount> %d </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <BmapFileChecksum> %s </BmapFileChecksum>
    <BlockMap>
`, m.size, blockSize, len(m.mapped), count, checksumPlace)
	for _, run := range ranges {
		sum, err := m.sum(r, run)
		if err != nil {
			return nil, err
		}
		blocks := fmt.Sprintf("%d-%d", run[0], run[1])
		if run[0] == run[1] {
			blocks = fmt.Sprint(run[0])
		}
		fmt.Fprintf(&b, "        <Range chksum=\"%s\"> %s </Range>\n", sum, blocks)
	}
	b.WriteString("    </BlockMap>\n</bmap>\n")
	own := sha256.Sum256(b.Bytes())
	return bytes.Replace(b.Bytes(), []byte(checksumPlace), []byte(hex.EncodeToString(own[:])), 1), nil
}

func (m *blockMap) sum(r io.ReaderAt, run [2]int64) (string, error) {
	start := run[0] * blockSize
	length := min((run[1]+1)*blockSize, m.size) - start
	h := sha256.New()
	if n, err := io.Copy(h, io.NewSectionReader(r, start, length)); err != nil || n != length {
		return "", fmt.Errorf("read %d bytes at %d: got %d: %w", length, start, n, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
