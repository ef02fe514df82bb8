// The decoded last frame against the picture that was encoded.
#include "psnr.h"

int vp8_squared_error(vp8 *e, const uint8_t *y, int stride, uint64_t *sum) {
	const vpx_image_t *decoded = vpx_codec_get_preview_frame(&e->codec);
	if (!decoded || (int)decoded->d_w < (int)e->config.g_w || (int)decoded->d_h < (int)e->config.g_h)
		return -1;
	*sum = 0;
	for (int row = 0; row < (int)e->config.g_h; row++) {
		const uint8_t *a = y + (size_t)row * stride;
		const uint8_t *b = decoded->planes[VPX_PLANE_Y] + (size_t)row * decoded->stride[VPX_PLANE_Y];
		for (int x = 0; x < (int)e->config.g_w; x++)
			*sum += (uint64_t)((a[x] - b[x]) * (a[x] - b[x]));
	}
	return 0;
}
