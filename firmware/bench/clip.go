// The buffers that are measured with: a file's or drawn pictures, made into what a
// camera would send, before the clock runs.

package bench

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"strings"

	"github.com/krazycam/krazycam/encoder/convert"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// A clip is a few seconds of a camera, played forwards and backwards.
type clip struct {
	layout  pixfmt.Layout
	buffers [][]byte
}

const (
	// maxBufferBytes is how much of a clip is kept: a Pi with 512 MB has room for it.
	maxBufferBytes = 64 << 20
	// maxFileBytes is the longest MJPEG file that is read, of which only the first seconds count.
	maxFileBytes = 256 << 20
	// minBuffers keeps a clip moving.
	minBuffers = 8
	// jpegQuality is about that of webcams: 50 to 80 kB at 640x480.
	jpegQuality = 80
)

// bufferAt gives buffer number n of a clip that is played to and fro, so that there is no cut
// where it ends.
func (c *clip) bufferAt(n int) []byte {
	last := len(c.buffers) - 1
	if last == 0 {
		return c.buffers[0]
	}
	n %= 2 * last
	return c.buffers[min(n, 2*last-n)]
}

// loadClip makes at most n buffers of a format and size from the file at path; "" is a pattern.
func loadClip(path string, format pixfmt.FourCC, size Size, n int) (*clip, error) {
	layout, err := pixfmt.New(format, size.Width, size.Height, 0)
	if err != nil {
		return nil, err
	}
	pack, err := packer(format)
	if err != nil {
		return nil, err
	}
	c := &clip{layout: layout}
	n = min(n, max(maxBufferBytes/layout.Size, minBuffers))
	err = eachPicture(path, size, n, func(p *image.YCbCr, file []byte) error {
		if format == pixfmt.MJPG && file != nil && p.Rect.Dx() == size.Width && p.Rect.Dy() == size.Height {
			c.buffers = append(c.buffers, file) // the camera's own
			return nil
		}
		scaled := image.NewYCbCr(image.Rect(0, 0, size.Width, size.Height), image.YCbCrSubsampleRatio420)
		if err := convert.Scale(scaled, p); err != nil {
			return err
		}
		b, err := pack(scaled)
		c.buffers = append(c.buffers, b)
		return err
	})
	if err == nil && len(c.buffers) == 0 {
		err = fmt.Errorf("%s: no pictures", path)
	}
	return c, err
}

// eachPicture hands n pictures to use, and for an MJPEG file the JPEG of each.
func eachPicture(path string, size Size, n int, use func(p *image.YCbCr, file []byte) error) error {
	switch {
	case path == "":
		return drawPictures(size, n, use)
	case strings.HasSuffix(path, ".y4m"):
		return readY4M(path, n, use)
	case strings.HasSuffix(path, ".mjpeg"):
		return readMJPEG(path, n, use)
	}
	return fmt.Errorf("%s: want FILE.y4m or FILE.mjpeg", path)
}

func readY4M(path string, n int, use func(*image.YCbCr, []byte) error) error {
	y, err := v4l2.OpenY4M(path, 0, false)
	if err != nil {
		return err
	}
	defer y.Close() // a mapping that was only read
	c, err := convert.New(y.Layout())
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range min(n, y.Len()) {
		p, _ := c.AliasBuffer(y.Picture(i)) // Y4M's layout is YU12: there is always one
		if err := use(p, nil); err != nil {
			return err
		}
	}
	return nil
}

// readMJPEG reads JPEGs that follow each other without anything between.
func readMJPEG(path string, n int, use func(*image.YCbCr, []byte) error) error {
	file, err := openfile.Read(path, maxFileBytes)
	if err != nil {
		return err
	}
	config, err := jpeg.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	layout, err := pixfmt.New(pixfmt.MJPG, config.Width, config.Height, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	c, err := convert.New(layout)
	if err != nil {
		return err
	}
	defer c.Close()
	p := image.NewYCbCr(image.Rect(0, 0, config.Width, config.Height), image.YCbCrSubsampleRatio420)
	for ; n > 0 && len(file) > 0; n-- {
		one := file
		if end := bytes.Index(file, []byte("\xff\xd9\xff\xd8")); end >= 0 {
			one = file[: end+2 : end+2]
		}
		file = file[len(one):]
		if err := c.Convert(p, one); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := use(p, one); err != nil {
			return err
		}
	}
	return nil
}
