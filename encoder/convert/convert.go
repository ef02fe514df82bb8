// Package convert turns a driver's buffer into a picture: I420, which VP8 encodes.
//
// It stands between v4l2, whose buffers it reads but does not keep, and encoder. A Converter owns
// a JPEG decoder and scratch planes in C memory, and no goroutine; one goroutine at a time may use
// it. The range of the colours stays as it is: full range from a JPEG, the driver's from other
// formats.
//
// Sources: V4L2 documentation, "Image Formats"; ITU-T T.81 (JPEG); libyuv's
// convert.h and libjpeg's libjpeg.txt, "Raw (downsampled) image data".
package convert

/*
#cgo LDFLAGS: -l:libyuv.a -l:libturbojpeg.a -lm
#cgo noescape i420_convert
#cgo nocallback i420_convert
#include <stdlib.h>
#include "i420.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"image"
	"unsafe"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// ErrBadJPEG is returned by Convert if the buffer does not hold a whole JPEG of the layout's size,
// or two of half its height (fields): the bus lost some of it, or the camera sends something else.
// The picture's content is then undefined; the next buffer may be good.
var ErrBadJPEG = errors.New("bad JPEG")

// ErrClosed is returned by a Converter after Close.
var ErrClosed = errors.New("converter is closed")

// A Converter turns buffers of one layout into pictures.
type Converter struct {
	c      *C.converter // nil once closed
	layout pixfmt.Layout
	alias  image.YCbCr // the picture of the last AliasBuffer
}

// New opens a converter for buffers with layout l. The caller closes it.
func New(l pixfmt.Layout) (*Converter, error) {
	if err := l.Check(); err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	format, ok := map[pixfmt.FourCC]C.enum_source_format{
		pixfmt.YUYV: C.FROM_YUYV, pixfmt.UYVY: C.FROM_UYVY, pixfmt.NV12: C.FROM_NV12,
		pixfmt.YU12: C.FROM_YU12, pixfmt.MJPG: C.FROM_MJPG,
	}[l.Format]
	if !ok {
		return nil, fmt.Errorf("convert: no way from %v to a picture", l.Format)
	}
	c := (*C.converter)(C.calloc(1, C.sizeof_converter))
	if c == nil {
		return nil, fmt.Errorf("convert: %v: no memory", l)
	}
	planes, _ := l.Planes()
	c.format, c.width, c.height, c.stride = format, C.int(l.Width), C.int(l.Height), C.int(l.Stride)
	c.offsets[0], c.offsets[1] = C.size_t(planes[1].Offset), C.size_t(planes[2].Offset)
	if C.i420_open(c) != 0 {
		defer C.free(unsafe.Pointer(c))
		return nil, fmt.Errorf("convert: %v: %s", l, C.GoString(&c.detail[0]))
	}
	return &Converter{c: c, layout: l}, nil
}

// Convert writes the picture in buf to dst, a 4:2:0 picture of the layout's size. It blocks for
// the time that this takes and keeps neither. After ErrBadJPEG skip the picture; any other error
// is the caller's mistake.
func (c *Converter) Convert(dst *image.YCbCr, buf []byte) error {
	if c.c == nil {
		return fmt.Errorf("convert: %w", ErrClosed)
	}
	if err := CheckPicture(dst, c.layout.Width, c.layout.Height); err != nil {
		return fmt.Errorf("convert %v: %w", c.layout, err)
	}
	jpeg := c.layout.Format == pixfmt.MJPG
	if jpeg && len(buf) == 0 {
		return fmt.Errorf("convert %v: buffer is empty: %w", c.layout, ErrBadJPEG)
	}
	if least := c.layout.RequiredBytes(); !jpeg && len(buf) < least {
		return fmt.Errorf("convert %v: buffer of %d bytes, a picture is %d", c.layout, len(buf), least)
	}
	if C.i420_convert(c.c, (*C.uint8_t)(&dst.Y[0]), (*C.uint8_t)(&dst.Cb[0]), (*C.uint8_t)(&dst.Cr[0]),
		C.int(dst.YStride), C.int(dst.CStride), (*C.uint8_t)(&buf[0]), C.size_t(len(buf))) != 0 {
		detail := C.GoString(&c.c.detail[0])
		if jpeg {
			return fmt.Errorf("convert %v of %d bytes: %w: %s", c.layout, len(buf), ErrBadJPEG, detail)
		}
		return fmt.Errorf("convert %v of %d bytes: %s", c.layout, len(buf), detail)
	}
	return nil
}

// AliasBuffer returns a picture over buf itself, without a copy, if the layout is YU12 and buf
// holds a whole picture. It is valid as long as buf is, and until the next AliasBuffer.
func (c *Converter) AliasBuffer(buf []byte) (*image.YCbCr, bool) {
	l := c.layout
	if l.Format != pixfmt.YU12 || len(buf) < l.Size {
		return nil, false
	}
	planes, _ := l.Planes()
	plane := func(i int) []byte {
		end := planes[i].Offset + planes[i].Stride*planes[i].Rows
		return buf[planes[i].Offset:end:end]
	}
	c.alias = image.YCbCr{
		Y: plane(0), Cb: plane(1), Cr: plane(2),
		YStride: planes[0].Stride, CStride: planes[1].Stride,
		SubsampleRatio: image.YCbCrSubsampleRatio420,
		Rect:           image.Rect(0, 0, l.Width, l.Height),
	}
	return &c.alias, true
}

// Close frees the C memory. A second Close does nothing.
func (c *Converter) Close() {
	if c.c == nil {
		return
	}
	C.i420_close(c.c)
	C.free(unsafe.Pointer(c.c))
	c.c = nil
}
