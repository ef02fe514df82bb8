// From pictures to what a camera sends: the reverse of encoder/convert, in plain Go, because
// it is not timed. And the pattern for a board without a file.

package bench

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"slices"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// Formats are those that a bench can make of pictures.
func Formats() []pixfmt.FourCC { return []pixfmt.FourCC{pixfmt.YUYV, pixfmt.MJPG, pixfmt.YU12} }

// packer gives the function that makes a buffer of a picture without padding.
func packer(f pixfmt.FourCC) (func(*image.YCbCr) ([]byte, error), error) {
	switch f {
	case pixfmt.YU12:
		return func(p *image.YCbCr) ([]byte, error) {
			return slices.Concat(p.Y, p.Cb, p.Cr), nil
		}, nil
	case pixfmt.YUYV:
		return func(p *image.YCbCr) ([]byte, error) { return packYUYV(p), nil }, nil
	case pixfmt.MJPG:
		return func(p *image.YCbCr) ([]byte, error) {
			var b bytes.Buffer
			err := jpeg.Encode(&b, p, &jpeg.Options{Quality: jpegQuality})
			return b.Bytes(), err
		}, nil
	}
	return nil, fmt.Errorf("format %v: want one of %v", f, Formats())
}

// packYUYV repeats each row of chroma.
func packYUYV(p *image.YCbCr) []byte {
	w, h := p.Rect.Dx(), p.Rect.Dy()
	b := make([]byte, 0, 2*w*h)
	for y := range h {
		for x := 0; x < w; x += 2 {
			i, j := y*p.YStride+x, y/2*p.CStride+x/2
			b = append(b, p.Y[i], p.Cb[j], p.Y[i+1], p.Cr[j])
		}
	}
	return b
}

// drawPictures hands n pictures to use: a slope that slides behind a square that crosses it,
// with noise in the lowest two bits, as a sensor has it. Without noise an encoder has no work.
func drawPictures(size Size, n int, use func(*image.YCbCr, []byte) error) error {
	p := image.NewYCbCr(image.Rect(0, 0, size.Width, size.Height), image.YCbCrSubsampleRatio420)
	for i := range p.Cb {
		p.Cb[i], p.Cr[i] = uint8(96+i%p.CStride*64/p.CStride), uint8(112+i/p.CStride%64/2)
	}
	noise := uint32(1)
	for i := range n {
		for y := range size.Height {
			row := p.Y[y*p.YStride:][:size.Width]
			for x := range row {
				noise = noise*1664525 + 1013904223
				v := 60 + (x+2*i)%256/2 + y*40/size.Height
				dx, dy := x-3*i%size.Width, y-size.Height/3
				if dx >= 0 && dx < size.Width/6 && dy >= 0 && dy < size.Height/4 {
					v = 200
				}
				row[x] = uint8(v) + uint8(noise>>30)
			}
		}
		if err := use(p, nil); err != nil {
			return err
		}
	}
	return nil
}
