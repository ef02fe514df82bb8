// How the samples of a buffer stand for colours, as the driver reports it. Sources: V4L2
// "Colorspaces", with the defaults of V4L2_MAP_YCBCR_ENC_DEFAULT and
// V4L2_MAP_QUANTIZATION_DEFAULT in videodev2.h; for JPEG: JFIF 1.02.

package v4l2

import (
	"fmt"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// Colours says how the samples of a buffer stand for colours. Nothing here changes samples: a
// picture keeps the range that its buffer had.
type Colours struct {
	Space     string // primaries: "sRGB", "Rec. 709"; "unknown"
	Matrix    string // from RGB to YCbCr: "601", "709", "2020", "240M"
	FullRange bool   // luma from 0 to 255 instead of 16 to 235
}

// String returns, for example, "sRGB, matrix 601, full range".
func (c Colours) String() string {
	lumaRange := "limited"
	if c.FullRange {
		lumaRange = "full"
	}
	return fmt.Sprintf("%s, matrix %s, %s range", c.Space, c.Matrix, lumaRange)
}

// colourSpaces are V4L2_COLORSPACE_… by number; 0 is "default", which a driver must not answer.
var colourSpaces = [...]string{
	"unknown", "SMPTE 170M", "SMPTE 240M", "Rec. 709", "unknown", "470 System M", "470 System BG",
	"JPEG", "sRGB", "opRGB", "BT.2020", "unknown", "DCI-P3",
}

const (
	space240M  = 2
	space709   = 3
	spaceJPEG  = 7
	space2020  = 10
	spaceDCIP3 = 12

	// V4L2_YCBCR_ENC_…; 601 (1), xvYCC 601 (3) and sYCC (5) are one matrix.
	matrix709      = 2
	matrixXV709    = 4
	matrix2020     = 6
	matrix2020Luma = 7 // constant luminance
	matrix240M     = 8

	rangeFull   = 1 // V4L2_QUANTIZATION_FULL_RANGE
	rangeNotSet = 0
)

// coloursOf reads the driver's answer. A JPEG is JFIF whatever the driver reports: matrix 601,
// full range; uvcvideo does not report that.
func coloursOf(p *pixFormat) Colours {
	c := Colours{Space: colourSpaces[0], Matrix: matrixOf(p.encoding, p.colorspace)}
	if int(p.colorspace) < len(colourSpaces) {
		c.Space = colourSpaces[p.colorspace]
	}
	c.FullRange = p.quantization == rangeFull ||
		p.quantization == rangeNotSet && p.colorspace == spaceJPEG
	if pixfmt.FourCC(p.pixelFormat).Compressed() {
		c.Matrix, c.FullRange = "601", true
	}
	return c
}

func matrixOf(encoding, space uint32) string {
	if encoding == 0 { // the default of the space
		encoding = map[uint32]uint32{
			space709: matrix709, spaceDCIP3: matrix709, space2020: matrix2020, space240M: matrix240M,
		}[space]
	}
	switch encoding {
	case matrix709, matrixXV709:
		return "709"
	case matrix2020, matrix2020Luma:
		return "2020"
	case matrix240M:
		return "240M"
	}
	return "601"
}
