// The C side of package convert: from a buffer to an I420 picture. See i420.c.
#ifndef KRAZYCAM_I420_H
#define KRAZYCAM_I420_H

#include <stddef.h>
#include <stdint.h>

#include "jpeg.h"

enum source_format { FROM_YUYV, FROM_UYVY, FROM_NV12, FROM_YU12, FROM_MJPG };

typedef struct {
	enum source_format format;
	int width, height; // pixels, both even unless FROM_YU12
	int stride;        // bytes of the first plane's row
	size_t offsets[2]; // of the second and third plane, NV12 and YU12 only
	jpeg_decoder *jpeg; // MJPG only
	char detail[JPEG_DETAIL_SIZE]; // why the last call failed
} converter;

// i420_open takes c with format, sizes and offsets set and the rest zero. It returns 0, or -1 with
// c->detail set and nothing to close.
int i420_open(converter *c);

// i420_convert reads at most len bytes of src; the caller has checked that an uncompressed layout
// fits. It returns 0, or -1 with c->detail set.
int i420_convert(converter *c, uint8_t *y, uint8_t *u, uint8_t *v, int y_stride, int uv_stride,
                 const uint8_t *src, size_t len);

void i420_close(converter *c);

#endif
