// JPEG pictures composed of strips, so that only the strips with the stamp are compressed for
// each picture. Pure functions. Source: ITU-T T.81 (JPEG) annex B (markers), E.1.4 (restart
// intervals).

package virtualcam

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"

	"github.com/krazycam/krazycam/v4l2/virtualcam/stamp"
)

// stripRows is one row of macroblocks of JPEG 4:2:0, as image/jpeg writes it, and also
// one row of blocks of a stamp.
const stripRows = stamp.Block

// strips are the scans of a picture's strips, from the top. Between them are restart markers:
// each strip begins with new predictions, so that it can be exchanged.
type strips [][]byte

// cutStrips compresses the strips of m from strip `from` up to strip `to`. quality is
// that of image/jpeg.
func cutStrips(m *image.YCbCr, from, to, quality int) (strips, error) {
	out := make(strips, 0, to-from)
	for i := from; i < to; i++ {
		b, start, err := compressStrip(m, i, quality)
		if err != nil {
			return nil, err
		}
		out = append(out, b[start:len(b)-2]) // without the end marker
	}
	return out, nil
}

// compressStrip returns strip i as a JPEG of its own; its scan begins at start.
func compressStrip(m *image.YCbCr, i, quality int) (b []byte, start int, err error) {
	r := m.Rect
	r.Min.Y += i * stripRows
	r.Max.Y = min(r.Max.Y, r.Min.Y+stripRows)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, m.SubImage(r), &jpeg.Options{Quality: quality}); err != nil {
		return nil, 0, fmt.Errorf("virtual camera: JPEG of rows %d to %d: %w", r.Min.Y, r.Max.Y, err)
	}
	b = out.Bytes()
	sos := bytes.Index(b, []byte{0xff, markerSOS})
	return b, sos + 2 + int(binary.BigEndian.Uint16(b[sos+2:])), nil
}

// stripsHeader returns what precedes the first scan of a picture of this size and quality: the
// header of a strip with the full height and a restart interval of one strip.
func stripsHeader(s Size, quality int) ([]byte, error) {
	m := image.NewYCbCr(image.Rect(0, 0, s.Width, s.Height), image.YCbCrSubsampleRatio420)
	b, start, err := compressStrip(m, 0, quality)
	if err != nil {
		return nil, err
	}
	b = b[:start]
	sof := bytes.Index(b, []byte{0xff, markerSOF0})
	binary.BigEndian.PutUint16(b[sof+5:], uint16(s.Height))
	blocks := (s.Width + stripRows - 1) / stripRows
	interval := binary.BigEndian.AppendUint16([]byte{0xff, markerDRI, 0, 4}, uint16(blocks))
	sos := bytes.Index(b, []byte{0xff, markerSOS})
	return concat(b[:sos], interval, b[sos:]), nil
}

// joinStrips appends the whole JPEG to dst: header, strips with restart markers, end.
func joinStrips(dst, header []byte, parts ...strips) []byte {
	dst = append(dst, header...)
	n := 0
	for _, part := range parts {
		for _, scan := range part {
			if n > 0 {
				dst = append(dst, 0xff, markerRST0+byte(n-1)%8)
			}
			dst = append(dst, scan...)
			n++
		}
	}
	return append(dst, 0xff, markerEOI)
}

// decodeJPEG decodes a colour JPEG: no camera sends others.
func decodeJPEG(b []byte) (*image.YCbCr, error) {
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("virtual camera: JPEG of %d bytes: %w", len(b), err)
	}
	p, ok := m.(*image.YCbCr)
	if !ok {
		return nil, fmt.Errorf("virtual camera: JPEG of %d bytes holds %T, want YCbCr", len(b), m)
	}
	return p, nil
}

// appendYUYV packs a picture of any subsampling as Y0 Cb Y1 Cr.
func appendYUYV(dst []byte, m *image.YCbCr) []byte {
	for y := m.Rect.Min.Y; y < m.Rect.Max.Y; y++ {
		for x := m.Rect.Min.X; x < m.Rect.Max.X; x += 2 {
			l, c := m.YOffset(x, y), m.COffset(x, y)
			dst = append(dst, m.Y[l], m.Cb[c], m.Y[l+1], m.Cr[c])
		}
	}
	return dst
}
