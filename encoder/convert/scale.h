// A picture in another size. See scale.c.
#ifndef KRAZYCAM_SCALE_H
#define KRAZYCAM_SCALE_H

#include <stdint.h>

// i420_scale scales the picture src_… to another size; both are 4:2:0, with chroma's sides rounded
// up. It returns 0, or -1 if libyuv refuses.
int i420_scale(uint8_t *y, uint8_t *u, uint8_t *v, int y_stride, int uv_stride, int width, int height,
               const uint8_t *src_y, const uint8_t *src_u, const uint8_t *src_v, int src_y_stride, int src_uv_stride,
               int src_width, int src_height);

#endif
