// libyuv's and libturbojpeg's calls for package convert. It allocates the converter's scratch
// planes; everything else belongs to the caller.
#include "i420.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libyuv/convert.h>
#include <libyuv/planar_functions.h>
#include <libyuv/scale.h>
#include <turbojpeg.h>

static int fail(converter *c, const char *what) {
	snprintf(c->detail, sizeof c->detail, "%s", what);
	return -1;
}

int i420_open(converter *c) {
	if (c->format != FROM_MJPG)
		return 0;
	c->chroma = malloc((size_t)2 * c->width * c->height); // 4:4:4 at most
	c->jpeg = tjInitDecompress();
	if (c->chroma && c->jpeg)
		return 0;
	i420_close(c);
	return fail(c, "no memory for a JPEG decoder");
}

void i420_close(converter *c) {
	if (c->jpeg)
		tjDestroy(c->jpeg);
	free(c->chroma);
	c->jpeg = c->chroma = NULL;
}

// fail_jpeg keeps libturbojpeg's reason, replaces the JPEG decoder and returns -1. After a header
// that it could not read, version 2.1.5 takes every later picture for the rest of that header
// ("two SOI markers").
static int fail_jpeg(converter *c) {
	fail(c, tjGetErrorStr2(c->jpeg));
	tjDestroy(c->jpeg);
	c->jpeg = tjInitDecompress();
	return -1;
}

// find_jpeg_end returns the length up to and with the last end marker FF D9, or 0 if there is none.
// Cameras pad behind it; a JPEG without it was cut on the bus. In coded data an FF is always
// followed by 00 or a restart marker.
static size_t find_jpeg_end(const uint8_t *src, size_t len) {
	for (; len >= 2; len--)
		if (src[len - 1] == 0xd9 && src[len - 2] == 0xff)
			return len;
	return 0;
}

// read_jpeg_header returns the subsampling, or -1. Before a sample is decoded it refuses every JPEG
// whose planes might not fit into the picture and the scratch planes.
static int read_jpeg_header(converter *c, const uint8_t *src, size_t len) {
	int width = 0, height = 0, subsampling = 0, colours = 0; // a JPEG of tables only leaves them 0
	if (!c->jpeg && !(c->jpeg = tjInitDecompress()))
		return fail(c, "no memory for a JPEG decoder");
	if (tjDecompressHeader3(c->jpeg, src, len, &width, &height, &subsampling, &colours))
		return fail_jpeg(c);
	if (width != c->width || height != c->height) {
		snprintf(c->detail, sizeof c->detail, "picture of %dx%d", width, height);
		return -1;
	}
	if (colours != TJCS_YCbCr && colours != TJCS_GRAY)
		return fail(c, "neither YCbCr nor grey");
	if (subsampling != TJSAMP_GRAY &&
	    tjPlaneSizeYUV(1, width, 0, height, subsampling) > (unsigned long)width * height)
		return fail(c, "chroma larger than luma");
	return subsampling;
}

// scale_chroma writes chroma planes of any other subsampling as 4:2:0.
static void scale_chroma(converter *c, const i420_picture *dst, uint8_t *const planes[3], int subsampling) {
	int width = tjPlaneWidth(1, c->width, subsampling);
	int height = tjPlaneHeight(1, c->height, subsampling);
	ScalePlane(planes[1], width, width, height,
	           dst->u, dst->uv_stride, c->width / 2, c->height / 2, kFilterBilinear);
	ScalePlane(planes[2], width, width, height,
	           dst->v, dst->uv_stride, c->width / 2, c->height / 2, kFilterBilinear);
}

static int convert_jpeg(converter *c, const i420_picture *dst, const uint8_t *src, size_t len) {
	len = find_jpeg_end(src, len);
	if (!len)
		return fail(c, "no end marker, truncated");
	int subsampling = read_jpeg_header(c, src, len);
	if (subsampling < 0)
		return -1;
	uint8_t *planes[3] = {dst->y, dst->u, dst->v};
	int strides[3] = {dst->y_stride, dst->uv_stride, dst->uv_stride};
	if (subsampling != TJSAMP_420 && subsampling != TJSAMP_GRAY) {
		planes[1] = c->chroma;
		planes[2] = c->chroma + (size_t)c->width * c->height;
		strides[1] = strides[2] = tjPlaneWidth(1, c->width, subsampling);
	}
	// A few cameras leave bytes before a marker: harmless, and only a warning of libjpeg's. After
	// any other warning parts of the picture are guessed.
	if (tjDecompressToYUVPlanes(c->jpeg, src, len, planes, c->width, strides, c->height, TJFLAG_LIMITSCANS) &&
	    (tjGetErrorCode(c->jpeg) != TJERR_WARNING || !strstr(tjGetErrorStr2(c->jpeg), "extraneous bytes")))
		return fail_jpeg(c);
	if (subsampling == TJSAMP_GRAY) {
		SetPlane(dst->u, dst->uv_stride, c->width / 2, c->height / 2, 128);
		SetPlane(dst->v, dst->uv_stride, c->width / 2, c->height / 2, 128);
	} else if (subsampling != TJSAMP_420) {
		scale_chroma(c, dst, planes, subsampling);
	}
	return 0;
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
		refused = I420Copy(src, c->stride, src + c->offsets[0], c->stride / 2, src + c->offsets[1], c->stride / 2,
		                   y, y_stride, u, uv_stride, v, uv_stride, w, h);
		break;
	case FROM_MJPG:
		return convert_jpeg(c, &dst, src, len);
	}
	return refused ? fail(c, "libyuv refuses the sizes") : 0;
}
