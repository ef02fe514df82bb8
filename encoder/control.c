// libvpx's controls for package encoder.
#include "control.h"

#include <stdio.h>

int vp8_control(vp8 *e, enum control what, int value) {
	static const struct { int id; const char *name; } controls[] = {
		[SPEED] = {VP8E_SET_CPUUSED, "VP8E_SET_CPUUSED"},
		[NOISE] = {VP8E_SET_NOISE_SENSITIVITY, "VP8E_SET_NOISE_SENSITIVITY"},
		[STATIC_THRESHOLD] = {VP8E_SET_STATIC_THRESHOLD, "VP8E_SET_STATIC_THRESHOLD"},
		[MAX_INTRA] = {VP8E_SET_MAX_INTRA_BITRATE_PCT, "VP8E_SET_MAX_INTRA_BITRATE_PCT"},
		[GOLDEN_BOOST] = {VP8E_SET_GF_CBR_BOOST_PCT, "VP8E_SET_GF_CBR_BOOST_PCT"},
		[TOKEN_PARTITIONS] = {VP8E_SET_TOKEN_PARTITIONS, "VP8E_SET_TOKEN_PARTITIONS"},
	};
	if (!vpx_codec_control_(&e->codec, controls[what].id, value))
		return 0;
	const char *detail = vpx_codec_error_detail(&e->codec);
	snprintf(e->detail, sizeof e->detail, "%s: %s%s%s", controls[what].name, vpx_codec_error(&e->codec),
	         detail ? ": " : "", detail ? detail : "");
	return -1;
}
