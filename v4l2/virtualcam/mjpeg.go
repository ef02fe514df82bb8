// Clip files: JPEGs one after the other, as `ffmpeg -f mjpeg` writes them. The file may come from
// anybody: limits, fuzzed. Source: ITU-T T.81 annex B.

package virtualcam

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	markerSOF0 = 0xc0
	markerDHT  = 0xc4
	markerRST0 = 0xd0
	markerRST7 = 0xd7
	markerSOI  = 0xd8
	markerEOI  = 0xd9
	markerSOS  = 0xda
	markerDRI  = 0xdd
	markerTEM  = 0x01

	// maxPictures bounds a clip: an hour at 30 pictures a second.
	maxPictures = 30 * 3600
)

// ErrBadClip means that a file is not a sequence of JPEGs of one size.
var ErrBadClip = errors.New("not a clip of JPEGs (make one with ffmpeg -f mjpeg)")

// splitMJPEG finds the JPEGs in a file; they alias b. Zero bytes between them, with which some
// cameras pad, are skipped. Anything else, and an incomplete last picture, is ErrBadClip.
func splitMJPEG(b []byte) ([][]byte, error) {
	var out [][]byte
	for at := 0; ; {
		for at < len(b) && b[at] == 0 {
			at++
		}
		if at == len(b) {
			break
		}
		if len(out) == maxPictures {
			return nil, fmt.Errorf("more than %d pictures: %w", maxPictures, ErrBadClip)
		}
		n := jpegLength(b[at:])
		if n == 0 {
			return nil, fmt.Errorf("picture %d at byte %d: %w", len(out), at, ErrBadClip)
		}
		out = append(out, b[at:at+n:at+n])
		at += n
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%d bytes without a picture: %w", len(b), ErrBadClip)
	}
	return out, nil
}

// jpegLength counts the bytes from the start marker to the end marker, both included; it is 0 if
// b does not begin with a whole JPEG. It follows the segments, because a thumbnail in one of
// them has an end marker, too.
func jpegLength(b []byte) int {
	if len(b) < 4 || b[0] != 0xff || b[1] != markerSOI {
		return 0
	}
	for at := 2; at+2 <= len(b); {
		if b[at] != 0xff {
			return 0
		}
		switch marker := b[at+1]; {
		case marker == 0xff: // fill byte
			at++
			continue
		case marker == markerEOI:
			return at + 2
		case marker == markerTEM, marker >= markerRST0 && marker <= markerRST7:
			at += 2
			continue
		case marker == 0, marker == markerSOI:
			return 0
		}
		if at+4 > len(b) {
			return 0
		}
		n := int(binary.BigEndian.Uint16(b[at+2:]))
		if n < 2 {
			return 0
		}
		scan := b[at+1] == markerSOS
		if at += 2 + n; scan {
			at = findScanEnd(b, at)
		}
	}
	return 0
}

// findScanEnd finds the next marker that is neither a stuffed 0xff nor a restart.
func findScanEnd(b []byte, at int) int {
	for ; at+1 < len(b); at++ {
		if b[at] != 0xff {
			continue
		}
		if m := b[at+1]; m != 0 && m != 0xff && (m < markerRST0 || m > markerRST7) {
			return at
		}
	}
	return len(b)
}
