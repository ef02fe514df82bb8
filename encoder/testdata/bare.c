// bare FILE.y4m BITRATE_KBIT SPEED OUT.ivf [SETTING=VALUE…]: encodes a 4:2:0 YUV4MPEG2 file at
// 30 fps with the settings of ../vp8.c and nothing around it. It reads picture by picture, as
// camsource does: what camsource takes beyond this is the cost of the pipeline. scripts/bench and
// its siblings build it; the other settings are for scripts/bench-settings.
#include "../vp8.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void die(const char *what) {
	fprintf(stderr, "bare: %s\n", what);
	exit(1);
}

// write_number writes an integer of so many bytes, little endian.
static void write_number(FILE *f, unsigned long long value, int bytes) {
	for (; bytes--; value >>= 8)
		fputc((int)(value & 255), f);
}

static void write_ivf_header(FILE *f, int width, int height, unsigned frames) {
	fwrite("DKIF\0\0 \0VP80", 1, 12, f);
	write_number(f, width, 2);
	write_number(f, height, 2);
	write_number(f, 30, 4); // time base: 30 to 1, frames to seconds
	write_number(f, 1, 4);
	write_number(f, frames, 4);
	write_number(f, 0, 4); // unused
}

// set_control changes one of libvpx's controls: "noise=4".
static void set_control(vp8 *e, const char *assignment) {
	static const struct {
		const char *name;
		int id;
	} controls[] = {
		{"noise=", VP8E_SET_NOISE_SENSITIVITY},
		{"static=", VP8E_SET_STATIC_THRESHOLD},
		{"intra=", VP8E_SET_MAX_INTRA_BITRATE_PCT},
		{"golden=", VP8E_SET_GF_CBR_BOOST_PCT},
		{"partitions=", VP8E_SET_TOKEN_PARTITIONS},
	};
	for (size_t i = 0; i < sizeof controls / sizeof *controls; i++) {
		size_t n = strlen(controls[i].name);
		if (strncmp(assignment, controls[i].name, n))
			continue;
		if (vpx_codec_control_(&e->codec, controls[i].id, atoi(assignment + n)))
			die(vpx_codec_error_detail(&e->codec));
		return;
	}
	die("settings: noise static intra golden partitions");
}

// read_header returns the place of the first picture's "FRAME\n".
static off_t read_header(int fd, int *width, int *height) {
	char header[200] = "";
	if (pread(fd, header, sizeof header - 1, 0) < 0)
		die("cannot read");
	const char *end = strchr(header, '\n');
	if (!end || sscanf(header, "YUV4MPEG2 W%d H%d ", width, height) != 2)
		die("not a YUV4MPEG2 file");
	return end + 1 - header;
}

int main(int argc, char **argv) {
	struct stat st;
	int fd, width, height;
	if (argc < 5 || (fd = open(argv[1], O_RDONLY)) < 0 || fstat(fd, &st))
		die("usage: bare FILE.y4m BITRATE_KBIT SPEED OUT.ivf [SETTING=VALUE…]");
	off_t at = read_header(fd, &width, &height);
	FILE *out = fopen(argv[4], "wb");
	vp8 *e = calloc(1, sizeof *e);
	if (!out || vp8_open(e, width, height, atoi(argv[2]), atoi(argv[3]), 1, 900))
		die(out ? e->detail : "cannot write");
	for (int i = 5; i < argc; i++)
		set_control(e, argv[i]);
	const long luma = (long)width * height, picture = luma * 3 / 2;
	const int mark = 6; // bytes of "FRAME\n"
	uint8_t *y = malloc(picture);
	write_ivf_header(out, width, height, (unsigned)(st.st_size / picture));
	for (unsigned n = 0; at + mark + picture <= st.st_size; at += mark + picture, n++) {
		if (!y || pread(fd, y, picture, at + mark) != picture)
			die("cannot read");
		if (vp8_encode(e, y, y + luma, y + luma * 5 / 4, width, width / 2, n * 3000LL, 3000, n == 0, 0))
			die(e->detail);
		if (!e->size)
			continue; // dropped
		write_number(out, e->size, 4);
		write_number(out, n, 8);
		fwrite(e->data, 1, e->size, out);
	}
	vp8_close(e);
	return fclose(out) ? 1 : 0;
}
