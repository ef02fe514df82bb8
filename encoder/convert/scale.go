// Scale, for a board that is too slow for the camera's full size.

package convert

/*
#cgo noescape i420_scale
#cgo nocallback i420_scale
#include "scale.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"image"
)

// Scale writes src to dst, a 4:2:0 picture of any other size. Each pixel of a smaller one is the
// mean of those that it replaces. Scale blocks for the time that this takes, keeps neither picture
// and may be called by several goroutines.
func Scale(dst, src *image.YCbCr) error {
	for _, p := range [2]*image.YCbCr{dst, src} {
		if p == nil || p.Rect.Empty() {
			return errors.New("scale: picture is nil or empty")
		}
		if err := CheckPicture(p, p.Rect.Dx(), p.Rect.Dy()); err != nil {
			return fmt.Errorf("scale: %w", err)
		}
	}
	if C.i420_scale((*C.uint8_t)(&dst.Y[0]), (*C.uint8_t)(&dst.Cb[0]), (*C.uint8_t)(&dst.Cr[0]),
		C.int(dst.YStride), C.int(dst.CStride), C.int(dst.Rect.Dx()), C.int(dst.Rect.Dy()),
		(*C.uint8_t)(&src.Y[0]), (*C.uint8_t)(&src.Cb[0]), (*C.uint8_t)(&src.Cr[0]),
		C.int(src.YStride), C.int(src.CStride), C.int(src.Rect.Dx()), C.int(src.Rect.Dy())) != 0 {
		return fmt.Errorf("scale %v to %v: libyuv refuses the sizes", src.Rect.Size(), dst.Rect.Size())
	}
	return nil
}
