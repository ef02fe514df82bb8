// The C side of package encoder: one libvpx VP8 encoder, its configuration and its last frame.
// See vp8.c.
#ifndef KRAZYCAM_VP8_H
#define KRAZYCAM_VP8_H

#include <stddef.h>
#include <stdint.h>

#define VPX_CODEC_DISABLE_COMPAT 1
#include <vpx/vp8cx.h>
#include <vpx/vpx_encoder.h>

typedef struct {
	vpx_codec_ctx_t codec;
	vpx_codec_enc_cfg_t config;
	vpx_image_t image; // wraps the planes of the present picture
	// The last frame, in libvpx's memory until the next call.
	const uint8_t *data;
	size_t size; // 0: dropped by rate control
	int key;
	int max_intra; // limit of a key frame at present, percent of an average frame; 0: none
	int quantizer;    // index in the bit stream, 0 to 127
	char detail[160]; // why the last call failed
} vp8;

// All functions return 0, or -1 with e->detail set.

// vp8_open fills e, zeroed memory of the caller. If it fails, there is nothing to close.
int vp8_open(vp8 *e, int width, int height, int kbit_per_second, int speed, int threads, int max_intra_percent);

// vp8_encode encodes one picture; pts and duration count 1/90000 s. max_intra_percent is the limit
// of key frames from now on; 0: as it is.
int vp8_encode(vp8 *e, const uint8_t *y, const uint8_t *u, const uint8_t *v, int y_stride, int uv_stride,
               int64_t pts, unsigned long duration, int force_key, int max_intra_percent);

int vp8_set_bitrate(vp8 *e, int kbit_per_second);
void vp8_close(vp8 *e);

// vp8_fail keeps libvpx's own words about a call that failed, and returns -1.
int vp8_fail(vp8 *e, const char *call);

#endif
