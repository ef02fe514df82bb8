// libvpx's calls for package encoder. Nothing is allocated here, and all state is in the caller's
// struct.
#include "vp8.h"

#include <stdio.h>
#include <string.h>

// libvpx's detail string says far more than its error code.
int vp8_fail(vp8 *e, const char *call) {
	const char *detail = vpx_codec_error_detail(&e->codec);
	snprintf(e->detail, sizeof e->detail, "%s: %s%s%s", call, vpx_codec_error(&e->codec),
	         detail ? ": " : "", detail ? detail : "");
	return -1;
}

// configure sets what WebRTC's sender sets for a camera; the reasons stand there
// (modules/video_coding/codecs/vp8/libvpx_vp8_encoder.cc).
static void configure(vpx_codec_enc_cfg_t *c, int width, int height, int kbit_per_second, int threads) {
	c->g_w = width;
	c->g_h = height;
	c->g_threads = threads;
	c->g_timebase.num = 1;
	c->g_timebase.den = 90000; // RTP's clock for video
	c->g_pass = VPX_RC_ONE_PASS;
	c->g_lag_in_frames = 0; // each picture gives its frame at once
	c->g_error_resilient = 0;
	c->rc_end_usage = VPX_CBR;
	c->rc_target_bitrate = kbit_per_second;
	c->rc_min_quantizer = 2;
	c->rc_max_quantizer = 56;
	c->rc_undershoot_pct = 100;
	c->rc_overshoot_pct = 15;
	c->rc_buf_initial_sz = 500; // ms
	c->rc_buf_optimal_sz = 600;
	c->rc_buf_sz = 1000;
	c->rc_dropframe_thresh = 30; // percent of the buffer
	c->rc_resize_allowed = 0;
	c->kf_mode = VPX_KF_DISABLED; // the receiver asks for key frames
}

int vp8_open(vp8 *e, int width, int height, int kbit_per_second, int speed, int threads, int max_intra_percent) {
	if (vpx_codec_enc_config_default(vpx_codec_vp8_cx(), &e->config, 0)) {
		snprintf(e->detail, sizeof e->detail, "vpx_codec_enc_config_default: no VP8 encoder in this libvpx");
		return -1;
	}
	configure(&e->config, width, height, kbit_per_second, threads);
	if (vpx_codec_enc_init(&e->codec, vpx_codec_vp8_cx(), &e->config, 0))
		return vp8_fail(e, "vpx_codec_enc_init");
	if (vpx_codec_control(&e->codec, VP8E_SET_CPUUSED, speed) ||
	    vpx_codec_control(&e->codec, VP8E_SET_NOISE_SENSITIVITY, 0) ||
	    vpx_codec_control(&e->codec, VP8E_SET_STATIC_THRESHOLD, 1) ||
	    vpx_codec_control(&e->codec, VP8E_SET_TOKEN_PARTITIONS, VP8_ONE_TOKENPARTITION) ||
	    vpx_codec_control(&e->codec, VP8E_SET_MAX_INTRA_BITRATE_PCT, max_intra_percent)) {
		vp8_fail(e, "vpx_codec_control");
		vpx_codec_destroy(&e->codec);
		return -1;
	}
	e->max_intra = max_intra_percent;
	// vp8_encode sets the planes of each picture; any address but NULL will do until then.
	vpx_img_wrap(&e->image, VPX_IMG_FMT_I420, width, height, 1, (unsigned char *)e);
	return 0;
}

int vp8_encode(vp8 *e, const uint8_t *y, const uint8_t *u, const uint8_t *v, int y_stride, int uv_stride,
               int64_t pts, unsigned long duration, int force_key, int max_intra_percent) {
	e->data = NULL;
	e->size = 0;
	e->key = 0;
	e->image.planes[VPX_PLANE_Y] = (unsigned char *)y;
	e->image.planes[VPX_PLANE_U] = (unsigned char *)u;
	e->image.planes[VPX_PLANE_V] = (unsigned char *)v;
	e->image.stride[VPX_PLANE_Y] = y_stride;
	e->image.stride[VPX_PLANE_U] = e->image.stride[VPX_PLANE_V] = uv_stride;
	if (max_intra_percent && max_intra_percent != e->max_intra) {
		if (vpx_codec_control(&e->codec, VP8E_SET_MAX_INTRA_BITRATE_PCT, max_intra_percent))
			return vp8_fail(e, "vpx_codec_control: max intra");
		e->max_intra = max_intra_percent;
	}
	if (vpx_codec_encode(&e->codec, &e->image, pts, duration, force_key ? VPX_EFLAG_FORCE_KF : 0, VPX_DL_REALTIME))
		return vp8_fail(e, "vpx_codec_encode");
	vpx_codec_iter_t iter = NULL;
	const vpx_codec_cx_pkt_t *p;
	while ((p = vpx_codec_get_cx_data(&e->codec, &iter))) { // at most one: no lag, one layer
		if (p->kind != VPX_CODEC_CX_FRAME_PKT)
			continue;
		e->data = p->data.frame.buf;
		e->size = p->data.frame.sz;
		e->key = !!(p->data.frame.flags & VPX_FRAME_IS_KEY);
	}
	if (vpx_codec_control(&e->codec, VP8E_GET_LAST_QUANTIZER, &e->quantizer))
		return vp8_fail(e, "vpx_codec_control: last quantizer");
	return 0;
}

int vp8_set_bitrate(vp8 *e, int kbit_per_second) {
	e->config.rc_target_bitrate = kbit_per_second;
	return vpx_codec_enc_config_set(&e->codec, &e->config) ? vp8_fail(e, "vpx_codec_enc_config_set") : 0;
}

void vp8_close(vp8 *e) { vpx_codec_destroy(&e->codec); }
