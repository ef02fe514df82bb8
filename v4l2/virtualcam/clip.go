// Clip: a Source that plays a file of JPEGs again and again. The file is read once.

package virtualcam

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"time"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/virtualcam/stamp"
)

const (
	// maxClipBytes bounds the memory that a clip takes.
	maxClipBytes = 1 << 30
	// maxSidePixels bounds width and height, before memory is allocated for what a header says.
	maxSidePixels = 4096
	// stampedQuality keeps a picture that was compressed again within 45 dB of the clip.
	stampedQuality = 98
)

// A Clip is a Source: the pictures of a file, in MJPG byte for byte as in the file, unless they
// are stamped. It offers the clip's own size only. Only one goroutine at a time may call
// FillBuffer; several may call Picture.
type Clip struct {
	size     Size
	pictures [][]byte // as in the file
	stamped  []stampedPicture
	header   []byte // of stamped pictures
	buffer   []byte
}

// A stampedPicture is a picture of the clip, ready for a stamp.
type stampedPicture struct {
	top  *image.YCbCr // the rows of the stamp
	rest strips       // below them
}

// OpenClip reads a file of JPEGs (`ffmpeg … -f mjpeg`). The error is ErrBadClip if it is none.
func OpenClip(path string) (*Clip, error) {
	b, err := openfile.Read(path, maxClipBytes)
	if err != nil {
		return nil, fmt.Errorf("clip: %w", err)
	}
	c, err := ParseClip(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// ParseClip returns a clip of the bytes of such a file. It keeps b.
func ParseClip(b []byte) (*Clip, error) {
	if len(b) > maxClipBytes {
		return nil, fmt.Errorf("clip of more than %d bytes: %w", maxClipBytes, ErrBadClip)
	}
	pictures, err := splitMJPEG(b)
	if err != nil {
		return nil, fmt.Errorf("clip: %w", err)
	}
	c := &Clip{pictures: pictures}
	for i, p := range pictures {
		h, err := jpeg.DecodeConfig(bytes.NewReader(p))
		if err != nil {
			return nil, fmt.Errorf("clip: picture %d: %w: %w", i, err, ErrBadClip)
		}
		s := Size{h.Width, h.Height}
		if s.Width > maxSidePixels || s.Height > maxSidePixels || s.Width%2 != 0 || s.Height%2 != 0 {
			return nil, fmt.Errorf("clip: picture %d is %dx%d, want even and up to %d: %w",
				i, s.Width, s.Height, maxSidePixels, ErrBadClip)
		}
		if i > 0 && s != c.size {
			return nil, fmt.Errorf("clip: picture %d is %dx%d, those before %dx%d: %w",
				i, s.Width, s.Height, c.size.Width, c.size.Height, ErrBadClip)
		}
		c.size = s
	}
	return c, nil
}

// StampPictures makes the clip stamp its pictures from now on. It compresses all of them again,
// which takes about 3 ms each at 320x240 and 12 ms at 640x480.
func (c *Clip) StampPictures() error {
	if c.size.Width < stamp.Width || c.size.Height < stamp.Height {
		return fmt.Errorf("clip of %dx%d cannot be stamped, want %dx%d at least",
			c.size.Width, c.size.Height, stamp.Width, stamp.Height)
	}
	header, err := stripsHeader(c.size, stampedQuality)
	if err != nil {
		return err
	}
	all := make([]stampedPicture, len(c.pictures))
	for i, b := range c.pictures {
		m, err := decodeJPEG(b)
		if err != nil {
			return fmt.Errorf("clip: picture %d: %w", i, err)
		}
		if all[i].rest, err = cutStrips(m, stamp.Rows, stripCount(c.size), stampedQuality); err != nil {
			return fmt.Errorf("clip: picture %d: %w", i, err)
		}
		all[i].top = copyRows(m, stamp.Height)
	}
	c.header, c.stamped = header, all
	return nil
}

// ListSizes implements Source.
func (c *Clip) ListSizes() []Size { return []Size{c.size} }

// Pictures counts the pictures in the clip; the camera's picture n is number n modulo that.
func (c *Clip) Pictures() int { return len(c.pictures) }

// FillBuffer implements Source.
func (c *Clip) FillBuffer(f pixfmt.FourCC, _ Size, n uint32, due time.Time) ([]byte, error) {
	i := int(n % uint32(len(c.pictures)))
	switch {
	case f == pixfmt.YUYV:
		m, err := decodeJPEG(c.pictures[i])
		if err != nil {
			return nil, err
		}
		c.buffer = appendYUYV(c.buffer[:0], m)
		if c.stamped != nil {
			stamp.New(n, due).Draw(c.buffer, c.size.Width*2, 2)
		}
		return c.buffer, nil
	case c.stamped == nil:
		return c.pictures[i], nil
	}
	p := c.stamped[i]
	stamp.New(n, due).Draw(p.top.Y, p.top.YStride, 1)
	top, err := cutStrips(p.top, 0, stamp.Rows, stampedQuality)
	if err != nil {
		return nil, err
	}
	c.buffer = joinStrips(c.buffer[:0], c.header, top, p.rest)
	return c.buffer, nil
}

// Picture returns what FillBuffer shows as picture n, after JPEG; in place of the stamp it has the
// clip's own rows.
func (c *Clip) Picture(f pixfmt.FourCC, _ Size, n uint32) (*image.YCbCr, error) {
	i := int(n % uint32(len(c.pictures)))
	m, err := decodeJPEG(c.pictures[i])
	if err != nil || f == pixfmt.YUYV || c.stamped == nil {
		return m, err
	}
	top, err := cutStrips(m, 0, stamp.Rows, stampedQuality)
	if err != nil {
		return nil, err
	}
	return decodeJPEG(joinStrips(nil, c.header, top, c.stamped[i].rest))
}

// copyRows returns a copy of the first rows of m, so that the memory of the whole picture can be
// freed.
func copyRows(m *image.YCbCr, rows int) *image.YCbCr {
	out := image.NewYCbCr(image.Rect(0, 0, m.Rect.Dx(), rows), m.SubsampleRatio)
	for y := range rows {
		copy(out.Y[out.YOffset(0, y):], m.Y[m.YOffset(0, y):][:m.Rect.Dx()])
		from, to := m.COffset(0, y), out.COffset(0, y)
		copy(out.Cb[to:to+out.CStride], m.Cb[from:])
		copy(out.Cr[to:to+out.CStride], m.Cr[from:])
	}
	return out
}
