// What makes a buffer unfit to be a picture, as far as that shows without decoding.

package v4l2

import (
	"bytes"
	"encoding/binary"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// judgeBuffer returns why f cannot be used, or delivered if it can. Of a JPEG it reads the header
// only. Whether the rest is whole shows when it is decoded, and not at its end: cameras leave the
// end marker out, pad behind it, or leave there what the buffer held before.
func judgeBuffer(l pixfmt.Layout, f *Filled) cause {
	switch {
	case f.Damaged:
		return damaged
	case len(f.Bytes) == 0:
		return empty
	case l.Format.Compressed():
		return judgeJPEG(l, f.Bytes)
	case len(f.Bytes) < l.RequiredBytes():
		return short
	}
	return delivered
}

// maxJPEGSurplus is how many pixels a JPEG may be wider and higher than was agreed: an encoder that
// does not know the size of the picture rounds it up to whole blocks. The decoder cuts them off.
const maxJPEGSurplus = 15

func judgeJPEG(l pixfmt.Layout, b []byte) cause {
	if len(b) < 4 || b[0] != 0xff || b[1] != 0xd8 {
		return truncated
	}
	h := readJPEGHeader(b)
	isWithin := func(side, agreed int) bool { return side >= agreed && side <= agreed+maxJPEGSurplus }
	switch {
	case h.cut:
		return truncated
	case h.width == 0 || h.height == 0: // for the decoder to judge
		return delivered
	case !isWithin(h.width, l.Width):
		return resized
	case isWithin(h.height, l.Height):
		return delivered
	case isWithin(h.height, (l.Height+1)/2) && bytes.Contains(b[h.scan:], []byte{0xff, 0xd8, 0xff}):
		return delivered // two fields
	}
	return resized
}

// A jpegHeader is what stands before the coded data of a JPEG. Width and height are 0 if there is no
// frame header where one should be.
type jpegHeader struct {
	width, height int
	scan          int  // where the coded data begins
	cut           bool // the buffer ends before it
}

// maxJPEGSegments is how many segments are read before the scan at most: a camera writes about
// six.
const maxJPEGSegments = 64

// readJPEGHeader reads the size from the frame header SOF (ITU-T T.81 annex B.2.2: marker, length 2,
// precision 1, height 2, width 2). A camera that fell back to another size reports it nowhere
// else.
func readJPEGHeader(b []byte) (h jpegHeader) {
	at := 2
	for range maxJPEGSegments {
		switch {
		case at+4 > len(b):
			h.cut = true
			return h
		case b[at] != 0xff: // bytes too many: the decoder knows how many are
			return jpegHeader{}
		case b[at+1] == 0xff: // fill byte
			at++
			continue
		}
		marker, end := b[at+1], at+2+int(binary.BigEndian.Uint16(b[at+2:]))
		if end > len(b) {
			h.cut = true
			return h
		}
		switch {
		case marker == 0xda:
			h.scan = end
			return h
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc && at+9 <= len(b):
			h.height = int(binary.BigEndian.Uint16(b[at+5:]))
			h.width = int(binary.BigEndian.Uint16(b[at+7:]))
		}
		at = end
	}
	return jpegHeader{}
}
