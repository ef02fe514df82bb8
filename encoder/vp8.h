// The C side of package encoder: one libvpx VP8 encoder, its configuration and the
// frame that it made last. See vp8.c.
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
	vpx_image_t image; // only wraps the planes of the picture at hand
	// The frame made last: libvpx's memory, until the next call.
	const uint8_t *data;
	size_t size; // 0: dropped by rate control
	int key;
	int quantizer; // of the bit stream, 0 to 127
	char detail[160]; // why the last call failed
} vp8;

// vp8_open fills e, which is zeroed memory of the caller. kbits is 1000 bit/s.
// It returns 0, or -1 with e->detail set and nothing to close.
int vp8_open(vp8 *e, int width, int height, int kbits, int speed, int threads, int max_intra_percent);

// vp8_encode encodes one picture; pts and duration count 1/90000 s. 0 or -1.
int vp8_encode(vp8 *e, const uint8_t *y, const uint8_t *u, const uint8_t *v, int y_stride, int uv_stride,
               int64_t pts, unsigned long duration, int force_key);

int vp8_set_bitrate(vp8 *e, int kbits);
void vp8_close(vp8 *e);

#endif
