// What makes a buffer unfit to be a picture, as far as that shows without decoding.

package v4l2

import (
	"encoding/binary"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// maxJPEGTail is how many bytes before the end of a buffer the end marker may be: some cameras
// add a few bytes of their own behind it.
const maxJPEGTail = 512

// judgeBuffer returns why f cannot be used, or delivered if it can.
func judgeBuffer(l pixfmt.Layout, f *Filled) cause {
	switch {
	case f.Damaged:
		return damaged
	case len(f.Bytes) == 0:
		return empty
	case l.Format.Compressed():
		if !isWholeJPEG(f.Bytes) {
			return truncated
		}
		if width, height, ok := readJPEGSize(f.Bytes); ok && (width != l.Width || height != l.Height) {
			return resized
		}
	case len(f.Bytes) < l.Size:
		return short
	}
	return delivered
}

// isWholeJPEG looks for the start marker SOI and the end marker EOI (ITU-T T.81 annex B.1.1.3).
// A camera that loses USB packets delivers half a JPEG as a good buffer; a decoder fills the
// rest with grey. Within the coded data FF is always followed by 00 or a restart marker, so
// FF D9 near the end can only be EOI.
func isWholeJPEG(b []byte) bool {
	if len(b) < 4 || b[0] != 0xff || b[1] != 0xd8 {
		return false
	}
	end := len(b)
	for end > 0 && b[end-1] == 0 { // padding
		end--
	}
	for i := end - 2; i >= max(2, end-maxJPEGTail); i-- {
		if b[i] == 0xff && b[i+1] == 0xd9 {
			return true
		}
	}
	return false
}

// maxJPEGSegments is how many segments are read before the frame header at most: a camera writes
// about six.
const maxJPEGSegments = 64

// readJPEGSize reads the size from the frame header SOF (ITU-T T.81 annex B.2.2: marker, length 2,
// precision 1, height 2, width 2). A camera that fell back to another size reports it nowhere
// else. ok is false if there is no header where one should be: the decoder judges that.
func readJPEGSize(b []byte) (width, height int, ok bool) {
	at := 2
	for range maxJPEGSegments {
		if at+9 > len(b) || b[at] != 0xff {
			return 0, 0, false
		}
		switch m := b[at+1]; {
		case m == 0xff: // fill byte
			at++
			continue
		case m >= 0xc0 && m <= 0xcf && m != 0xc4 && m != 0xc8 && m != 0xcc: // not DHT, JPG, DAC
			return int(binary.BigEndian.Uint16(b[at+7:])), int(binary.BigEndian.Uint16(b[at+5:])), true
		case m == 0xda: // the scan: too late
			return 0, 0, false
		}
		at += 2 + int(binary.BigEndian.Uint16(b[at+2:]))
	}
	return 0, 0, false
}
