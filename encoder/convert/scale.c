// libyuv's scaler for package convert. libyuv allocates a row or two.
#include "scale.h"

#include <libyuv/scale.h>

int i420_scale(uint8_t *y, uint8_t *u, uint8_t *v, int y_stride, int uv_stride, int width, int height,
               const uint8_t *src_y, const uint8_t *src_u, const uint8_t *src_v, int src_y_stride, int src_uv_stride,
               int src_width, int src_height) {
	return I420Scale(src_y, src_y_stride, src_u, src_uv_stride, src_v, src_uv_stride, src_width, src_height,
	                 y, y_stride, u, uv_stride, v, uv_stride, width, height, kFilterBox) ? -1 : 0;
}
