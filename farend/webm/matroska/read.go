// What a file's head says.

package matroska

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"time"
)

// An Info is what a player shows of a file.
type Info struct {
	Title         string
	Start         time.Time // zero: not said
	Duration      time.Duration
	Width, Height int
}

// ErrFormat is for a file that is no WebM, or says nothing of itself within its first bytes.
var ErrFormat = errors.New("no WebM file with a duration")

// readMax bytes hold all that is read of a file, of which somebody else's program may be the author.
const readMax = 4096

// durationMax keeps a wrong number from becoming a negative time.
const durationMax = 10 * 365 * 24 * time.Hour

// ReadInfo reads the head of a file, in one read. The file may be written meanwhile.
func ReadInfo(r io.ReaderAt) (Info, error) {
	b := make([]byte, readMax)
	n, err := r.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Info{}, fmt.Errorf("matroska: %w", err)
	}
	p := parser{scale: float64(time.Millisecond)}
	p.walk(b[:n])
	if !p.webm || !(p.duration >= 0 && p.duration*p.scale <= float64(durationMax)) {
		return Info{}, fmt.Errorf("matroska: %w", ErrFormat)
	}
	p.info.Duration = time.Duration(p.duration * p.scale)
	return p.info, nil
}

// A parser notes what it knows of the elements that it meets.
type parser struct {
	info     Info
	webm     bool
	scale    float64 // ns
	duration float64 // in scale
}

// walk goes through elements and into those that hold what is wanted. One that the bytes end in is
// taken as far as it is there.
func (p *parser) walk(b []byte) {
	for len(b) > 0 {
		id, n := readID(b)
		if n == 0 {
			return
		}
		b = b[n:]
		size, n := readSize(b)
		if n == 0 {
			return
		}
		b = b[n:]
		data := b[:min(size, uint64(len(b)))]
		switch id {
		case idEBML, idSegment, idInfo, idTracks, idTrackEntry, idVideo:
			p.walk(data)
		case idCluster:
			return
		default:
			if uint64(len(data)) == size {
				p.take(id, data)
			}
		}
		b = b[len(data):]
	}
}

func (p *parser) take(id uint32, data []byte) {
	switch id {
	case idDocType:
		p.webm = string(data) == "webm"
	case idTimestampScale:
		p.scale = float64(readUint(data))
	case idDuration:
		p.duration = readFloat(data)
	case idDateUTC:
		if len(data) == 8 {
			p.info.Start = epoch().Add(time.Duration(readUint(data)))
		}
	case idTitle:
		p.info.Title = cleanText(string(data), titleMax)
	case idPixelWidth:
		p.info.Width = int(readUint(data) & 0xFFFF)
	case idPixelHeight:
		p.info.Height = int(readUint(data) & 0xFFFF)
	}
}

// readID gives an ID with its marker, and its length; 0: none.
func readID(b []byte) (id uint32, n int) {
	n = bits.LeadingZeros8(b[0]) + 1
	if n > 4 || n > len(b) {
		return 0, 0
	}
	for _, v := range b[:n] {
		id = id<<8 | uint32(v)
	}
	return id, n
}

// readSize gives a size and the length of its own; 0: none. One that is unknown is larger than any file.
func readSize(b []byte) (size uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	n = bits.LeadingZeros8(b[0]) + 1
	if n > 8 || n > len(b) {
		return 0, 0
	}
	for _, v := range b[:n] {
		size = size<<8 | uint64(v)
	}
	mask := uint64(1)<<(7*n) - 1
	if size &= mask; size == mask {
		size = math.MaxInt64
	}
	return size, n
}

func readUint(b []byte) (v uint64) {
	for _, c := range b[:min(len(b), 8)] {
		v = v<<8 | uint64(c)
	}
	return v
}

func readFloat(b []byte) float64 {
	switch len(b) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	return 0
}
