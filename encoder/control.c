// libvpx's controls for package encoder.
#include "control.h"

int vp8_set_control(vp8 *e, enum control control, int value) {
	static const struct {
		int id;
		const char *name;
	} controls[] = {
		[SPEED] = {VP8E_SET_CPUUSED, "VP8E_SET_CPUUSED"},
		[NOISE] = {VP8E_SET_NOISE_SENSITIVITY, "VP8E_SET_NOISE_SENSITIVITY"},
		[STATIC_THRESHOLD] = {VP8E_SET_STATIC_THRESHOLD, "VP8E_SET_STATIC_THRESHOLD"},
		[MAX_INTRA] = {VP8E_SET_MAX_INTRA_BITRATE_PCT, "VP8E_SET_MAX_INTRA_BITRATE_PCT"},
		[GOLDEN_BOOST] = {VP8E_SET_GF_CBR_BOOST_PCT, "VP8E_SET_GF_CBR_BOOST_PCT"},
		[TOKEN_PARTITIONS] = {VP8E_SET_TOKEN_PARTITIONS, "VP8E_SET_TOKEN_PARTITIONS"},
	};
	if (vpx_codec_control_(&e->codec, controls[control].id, value))
		return vp8_fail(e, controls[control].name);
	if (control == MAX_INTRA)
		e->max_intra = value;
	return 0;
}
