// The picture that a decoder will show, against the one that went in.
#include "psnr.h"

int vp8_squared_error(vp8 *e, const uint8_t *y, int stride, uint64_t *sum) {
	const vpx_image_t *shown = vpx_codec_get_preview_frame(&e->codec);
	if (!shown || (int)shown->d_w < (int)e->config.g_w || (int)shown->d_h < (int)e->config.g_h)
		return -1;
	*sum = 0;
	for (int row = 0; row < (int)e->config.g_h; row++) {
		const uint8_t *a = y + (size_t)row * stride;
		const uint8_t *b = shown->planes[VPX_PLANE_Y] + (size_t)row * shown->stride[VPX_PLANE_Y];
		for (int x = 0; x < (int)e->config.g_w; x++)
			*sum += (uint64_t)((a[x] - b[x]) * (a[x] - b[x]));
	}
	return 0;
}
