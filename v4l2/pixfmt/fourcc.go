// Package pixfmt names pixel formats and says where their samples lie in a buffer.
//
// It is the vocabulary that v4l2 (which fills buffers) and encoder/convert (which
// reads them) share, so that neither imports the other. It owns nothing: no
// memory, no descriptor. Lengths, offsets and strides are bytes; widths and
// heights are pixels of the whole picture.
//
// Sources: Linux videodev2.h (codes) and the V4L2 documentation, chapter
// "Image Formats" (order of samples and planes).
package pixfmt

import (
	"fmt"
	"strings"
)

// FourCC is V4L2's code of a pixel format: four ASCII characters, the first in the
// lowest byte.
type FourCC uint32

// The formats that the encoder can turn into a picture.
const (
	YUYV FourCC = 'Y' | 'U'<<8 | 'Y'<<16 | 'V'<<24 // packed 4:2:2, Y0 U Y1 V
	UYVY FourCC = 'U' | 'Y'<<8 | 'V'<<16 | 'Y'<<24 // packed 4:2:2, U Y0 V Y1
	NV12 FourCC = 'N' | 'V'<<8 | '1'<<16 | '2'<<24 // 4:2:0, plane of Y, plane of UV pairs
	YU12 FourCC = 'Y' | 'U'<<8 | '1'<<16 | '2'<<24 // 4:2:0, planes Y, U, V: I420
	MJPG FourCC = 'M' | 'J'<<8 | 'P'<<16 | 'G'<<24 // one JPEG for each picture
)

// Parse reads a code of three or four printable ASCII characters, such as "YUYV";
// a shorter code is filled with a space, as V4L2 does ("Y16 ").
func Parse(s string) (FourCC, error) {
	if len(s) < 3 || len(s) > 4 {
		return 0, fmt.Errorf("pixel format %q: want four characters such as YUYV or MJPG", s)
	}
	var f FourCC
	for i, c := range []byte((s + " ")[:4]) {
		if c < ' ' || c > '~' {
			return 0, fmt.Errorf("pixel format %q: character %d is not printable ASCII", s, i+1)
		}
		f |= FourCC(c) << (8 * i)
	}
	return f, nil
}

// String returns the four characters, without the space that fills a short code, or a
// hexadecimal number if they are not printable ASCII.
func (f FourCC) String() string {
	b := []byte{byte(f), byte(f >> 8), byte(f >> 16), byte(f >> 24)}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return fmt.Sprintf("0x%08x", uint32(f))
		}
	}
	return strings.TrimRight(string(b), " ")
}

// MarshalText makes JSON hold "YUYV" instead of a number.
func (f FourCC) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (f *FourCC) UnmarshalText(text []byte) error {
	v, err := Parse(string(text))
	if err != nil {
		return err
	}
	*f = v
	return nil
}

// Known says whether the encoder can turn the format into a picture.
func (f FourCC) Known() bool {
	switch f {
	case YUYV, UYVY, NV12, YU12, MJPG:
		return true
	}
	return false
}

// Compressed says whether the length of a buffer differs from picture to picture.
func (f FourCC) Compressed() bool { return f == MJPG }
