// From a JPEG to an I420 picture. See jpeg.c.
#ifndef KRAZYCAM_JPEG_H
#define KRAZYCAM_JPEG_H

#include <stddef.h>
#include <stdint.h>

// Planes of a picture.
typedef struct {
	uint8_t *y, *u, *v;
	int y_stride, uv_stride;
} i420_picture;

typedef struct jpeg_decoder jpeg_decoder;

enum { JPEG_DETAIL_SIZE = 200 };

// jpeg_open returns a decoder for pictures of width by height pixels, both even, or NULL.
jpeg_decoder *jpeg_open(int width, int height);

// jpeg_decode writes the picture in src to dst. It returns 0, or -1 if src holds no whole JPEG of
// that size; then detail says why, and dst is undefined.
int jpeg_decode(jpeg_decoder *d, const i420_picture *dst, const uint8_t *src, size_t len,
                char detail[JPEG_DETAIL_SIZE]);

// jpeg_close frees d, which may be NULL.
void jpeg_close(jpeg_decoder *d);

#endif
