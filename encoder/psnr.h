// The quality of the last frame. See psnr.c.
#ifndef KRAZYCAM_PSNR_H
#define KRAZYCAM_PSNR_H

#include "vp8.h"

// vp8_squared_error sums up the squared differences between the luma y and the decoded last frame.
// It returns 0, or -1 before the first frame.
int vp8_squared_error(vp8 *e, const uint8_t *y, int stride, uint64_t *sum);

#endif
