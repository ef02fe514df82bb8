// The last check of a picture before its planes go to C, which trusts strides and sizes. No cgo in
// here.

//go:build cgo

package convert

import (
	"fmt"
	"image"
)

// maxStride keeps the size of a plane within the int of a 32-bit board:
//
//	65536 bytes * pixfmt.MaxSide rows = 1 GiB
//
// pixfmt has the same limit.
const maxStride = 1 << 16

// CheckPicture returns an error unless p is a 4:2:0 picture of width by height pixels whose planes
// are as long as its strides require.
func CheckPicture(p *image.YCbCr, width, height int) error {
	if p == nil {
		return fmt.Errorf("picture is nil, want %dx%d", width, height)
	}
	if p.Rect.Dx() != width || p.Rect.Dy() != height {
		return fmt.Errorf("picture is %dx%d, want %dx%d", p.Rect.Dx(), p.Rect.Dy(), width, height)
	}
	// The colours of a part that begins in the middle of a chroma sample would be half a pixel off.
	if p.SubsampleRatio != image.YCbCrSubsampleRatio420 || p.Rect.Min.X%2 != 0 || p.Rect.Min.Y%2 != 0 {
		return fmt.Errorf("picture at %v with chroma %v: want 4:2:0 that begins at an even place",
			p.Rect.Min, p.SubsampleRatio)
	}
	chromaWidth, chromaHeight := (width+1)/2, (height+1)/2
	for _, plane := range [3]struct {
		name                        string
		size, stride, width, height int
	}{
		{"Y", len(p.Y), p.YStride, width, height},
		{"Cb", len(p.Cb), p.CStride, chromaWidth, chromaHeight},
		{"Cr", len(p.Cr), p.CStride, chromaWidth, chromaHeight},
	} {
		if plane.stride < plane.width || plane.stride > maxStride {
			return fmt.Errorf("picture %dx%d: plane %s has a stride of %d bytes, its rows are %d",
				width, height, plane.name, plane.stride, plane.width)
		}
		if want := plane.stride*(plane.height-1) + plane.width; plane.size < want {
			return fmt.Errorf("picture %dx%d: plane %s has %d bytes, want %d",
				width, height, plane.name, plane.size, want)
		}
	}
	return nil
}
