// What makes a buffer unfit to be a picture, as far as that shows without decoding.

package v4l2

import "github.com/krazycam/krazycam/v4l2/pixfmt"

// jpegTail is how far before the end of a buffer the end marker may stand: some
// cameras add a few bytes of their own behind it.
const jpegTail = 512

// fault says why f cannot be used, or delivered if it can.
func fault(l pixfmt.Layout, f *Filled) cause {
	switch {
	case f.Damaged:
		return damaged
	case len(f.Bytes) == 0:
		return empty
	case l.Format.Compressed():
		if !wholeJPEG(f.Bytes) {
			return truncated
		}
	case len(f.Bytes) < l.Size:
		return short
	}
	return delivered
}

// wholeJPEG looks for the start marker SOI and the end marker EOI (ITU-T T.81
// annex B.1.1.3). A camera that loses USB packets delivers half a JPEG as a good
// buffer; a decoder fills the rest with grey. Within the coded data FF is always
// followed by 00 or a restart marker, so FF D9 near the end can only be EOI.
func wholeJPEG(b []byte) bool {
	if len(b) < 4 || b[0] != 0xff || b[1] != 0xd8 {
		return false
	}
	end := len(b)
	for end > 0 && b[end-1] == 0 { // padding
		end--
	}
	for i := end - 2; i >= max(2, end-jpegTail); i-- {
		if b[i] == 0xff && b[i+1] == 0xd9 {
			return true
		}
	}
	return false
}
