// PSNR, the quality of the last frame, for measurements. libvpx keeps the decoded picture, so a
// board needs no decoder for it.

package encoder

// #include "psnr.h"
import "C"

import (
	"errors"
	"fmt"
	"image"
	"math"

	"github.com/krazycam/krazycam/encoder/convert"
)

// BestPSNR, in dB, stands for a frame that does not differ from its picture at all.
const BestPSNR = 100.0

// MeasurePSNR compares the luma of p, the picture of the last Encode, with what a decoder then
// shows, in dB. If rate control dropped the picture, a decoder still shows the frame before.
func (e *Encoder) MeasurePSNR(p *image.YCbCr) (float64, error) {
	if e.c == nil {
		return 0, fmt.Errorf("psnr: %w", ErrClosed)
	}
	if err := convert.CheckPicture(p, e.config.Width, e.config.Height); err != nil {
		return 0, fmt.Errorf("psnr: %w", err)
	}
	var sum C.uint64_t
	if C.vp8_squared_error(e.c, (*C.uint8_t)(&p.Y[0]), C.int(p.YStride), &sum) != 0 {
		return 0, errors.New("psnr: libvpx shows no frame yet")
	}
	if sum == 0 {
		return BestPSNR, nil
	}
	return 10 * math.Log10(255*255*float64(e.config.Width*e.config.Height)/float64(sum)), nil
}
