// Pictures in C memory: written by encoder/convert, read by Encode.

package encoder

// #include <stdlib.h>
import "C"

import (
	"fmt"
	"image"
	"unsafe"
)

// rowAlignment is the multiple to which rows are padded, in bytes: the widest vector of the
// processors that we run on, AVX2's.
const rowAlignment = 32

// A Picture is a 4:2:0 picture in C memory, which Go's garbage collector does not scan.
type Picture struct {
	image.YCbCr
	memory unsafe.Pointer // nil once closed
}

// NewPicture allocates a picture of undefined content. The caller closes it.
func NewPicture(width, height int) (*Picture, error) {
	if width < 1 || height < 1 || width > MaxSide || height > MaxSide {
		return nil, fmt.Errorf("picture %dx%d: want sides of 1 to %d pixels", width, height, MaxSide)
	}
	chromaWidth, chromaHeight := (width+1)/2, (height+1)/2
	yStride, cStride := align(width), align(chromaWidth)
	luma, chroma := yStride*align(height), cStride*align(chromaHeight)
	m := C.aligned_alloc(rowAlignment, C.size_t(luma+2*chroma))
	if m == nil {
		return nil, fmt.Errorf("picture %dx%d: no memory", width, height)
	}
	b := unsafe.Slice((*byte)(m), luma+2*chroma)
	cb, cr := b[luma:luma+chroma], b[luma+chroma:]
	return &Picture{memory: m, YCbCr: image.YCbCr{
		Y: b[: yStride*height : luma], Cb: cb[:cStride*chromaHeight], Cr: cr[:cStride*chromaHeight],
		YStride: yStride, CStride: cStride,
		SubsampleRatio: image.YCbCrSubsampleRatio420,
		Rect:           image.Rect(0, 0, width, height),
	}}, nil
}

// Close frees the memory; the planes are gone. A second Close does nothing.
func (p *Picture) Close() {
	C.free(p.memory)
	p.memory = nil
	p.Y, p.Cb, p.Cr = nil, nil, nil
}

// align rounds bytes up to whole vectors.
func align(n int) int { return (n + rowAlignment - 1) &^ (rowAlignment - 1) }
