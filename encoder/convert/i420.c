// libyuv's calls for package convert, of uncompressed buffers; jpeg.c has the others. All memory
// belongs to the caller.
#include "i420.h"

#include <stdio.h>

#include <libyuv/convert.h>

static int fail(converter *c, const char *what) {
	snprintf(c->detail, sizeof c->detail, "%s", what);
	return -1;
}

int i420_open(converter *c) {
	if (c->format != FROM_MJPG || (c->jpeg = jpeg_open(c->width, c->height)))
		return 0;
	return fail(c, "no memory for a JPEG decoder");
}

void i420_close(converter *c) {
	jpeg_close(c->jpeg);
	c->jpeg = NULL;
}

int i420_convert(converter *c, uint8_t *y, uint8_t *u, uint8_t *v, int y_stride, int uv_stride,
                 const uint8_t *src, size_t len) {
	int w = c->width, h = c->height, refused = 0;
	i420_picture dst = {y, u, v, y_stride, uv_stride};
	switch (c->format) {
	case FROM_YUYV:
		refused = YUY2ToI420(src, c->stride, y, y_stride, u, uv_stride, v, uv_stride, w, h);
		break;
	case FROM_UYVY:
		refused = UYVYToI420(src, c->stride, y, y_stride, u, uv_stride, v, uv_stride, w, h);
		break;
	case FROM_NV12:
		refused = NV12ToI420(src, c->stride, src + c->offsets[0], c->stride,
		                     y, y_stride, u, uv_stride, v, uv_stride, w, h);
		break;
	case FROM_YU12:
		refused = I420Copy(src, c->stride, src + c->offsets[0], (c->stride + 1) / 2,
		                   src + c->offsets[1], (c->stride + 1) / 2,
		                   y, y_stride, u, uv_stride, v, uv_stride, w, h);
		break;
	case FROM_MJPG:
		return jpeg_decode(c->jpeg, &dst, src, len, c->detail);
	}
	return refused ? fail(c, "libyuv refuses the sizes") : 0;
}
