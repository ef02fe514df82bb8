// A strict reader: what it does not expect is an error, but a file may end anywhere.

package matroska

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// contents are all that a test wants of a file.
type contents struct {
	duration    time.Duration
	segmentSize uint64
	frames      []read
	clusters    map[int64]int64 // position in the segment: time
	cues        []cue
	unknown     int // clusters of unknown size
}

type read struct {
	bytes []byte
	at    int64
	key   bool
}

var errShort = errors.New("the file ends")

// element splits off the first element; data is nil and size the whole rest if that is unknown.
func element(b []byte) (id uint32, data, rest []byte, unknown bool, err error) {
	if len(b) == 0 {
		return 0, nil, nil, false, errShort
	}
	id, n := readID(b)
	if n == 0 {
		if len(b) < 4 {
			return 0, nil, nil, false, errShort
		}
		return 0, nil, nil, false, fmt.Errorf("no ID: % x", b[:4])
	}
	size, m := readSize(b[n:])
	switch {
	case m == 0:
		return id, nil, nil, false, errShort
	case size == math.MaxInt64:
		return id, b[n+m:], nil, true, nil
	case size > uint64(len(b)-n-m):
		return id, nil, nil, false, errShort
	}
	b = b[n+m:]
	return id, b[:size], b[size:], false, nil
}

// readAll reads a file that may end within what was appended last.
func readAll(b []byte) (c contents, err error) {
	c.clusters = map[int64]int64{}
	id, _, rest, _, err := element(b)
	if err != nil || id != idEBML {
		return c, fmt.Errorf("EBML header: %x, %w", id, err)
	}
	if id, n := readID(rest); id != idSegment || len(b)-len(rest)+n+8 != segmentData {
		return c, fmt.Errorf("Segment: %x", id)
	}
	c.segmentSize = binary.BigEndian.Uint64(rest[4:]) & sizeUnknown
	segment := b[segmentData:]
	for rest := segment; len(rest) > 0; {
		position := int64(len(segment) - len(rest))
		id, data, next, unknown, err := element(rest)
		if errors.Is(err, errShort) && position >= headEnd-segmentData {
			return c, nil
		}
		if err != nil {
			return c, fmt.Errorf("at %d: %x: %w", position, id, err)
		}
		switch id {
		case idInfo:
			info, err := ReadInfo(bytesAt(b))
			if err != nil {
				return c, err
			}
			c.duration = info.Duration
		case idCues:
			if err := c.readCues(data); err != nil {
				return c, err
			}
		case idCluster:
			if next, err = c.readCluster(position, data, next, unknown); err != nil {
				return c, fmt.Errorf("cluster at %d: %w", position, err)
			}
		case idSeekHead, idTracks, idVoid:
		default:
			return c, fmt.Errorf("at %d: unexpected %x", position, id)
		}
		rest = next
	}
	return c, nil
}

type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, at int64) (int, error) { return copy(p, b[at:]), nil }

func (c *contents) readCues(b []byte) error {
	for len(b) > 0 {
		id, data, rest, _, err := element(b)
		if err != nil {
			return fmt.Errorf("cues: %w", err)
		}
		b = rest
		if id == idVoid {
			continue
		}
		if id != idCuePoint || len(data) != cueSlotSize-2 {
			return fmt.Errorf("cues: %x", id)
		}
		c.cues = append(c.cues, cue{int64(readUint(data[2:10])), int64(readUint(data[22:30]))})
	}
	return nil
}

// readCluster gives what follows it: if its size is unknown, it ends before the next one.
func (c *contents) readCluster(position int64, b, next []byte, unknown bool) ([]byte, error) {
	if unknown {
		c.unknown++
	}
	began := int64(-1)
	for len(b) > 0 {
		id, data, rest, _, err := element(b)
		if unknown && (errors.Is(err, errShort) || id == idCluster) {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
		switch id {
		case idTimestamp:
			began = int64(readUint(data))
			c.clusters[position] = began
		case idSimpleBlock:
			relative := int64(int16(binary.BigEndian.Uint16(data[1:])))
			if began < 0 || data[0] != 0x81 || relative < 0 || relative > clusterLength {
				return nil, fmt.Errorf("block % x in a cluster of %d", data[:4], began)
			}
			c.frames = append(c.frames, read{data[4:], began + relative, data[3]&0x80 != 0})
		case idVoid:
		default:
			return nil, fmt.Errorf("unexpected %x", id)
		}
		b = rest
	}
	return next, nil
}
