// bare FILE.y4m BITRATE_KBIT SPEED OUT.ivf [SETTING=VALUE…]: encodes a 4:2:0 YUV4MPEG2
// file, read picture by picture as camsource does, at 30 fps with the settings of
// ../vp8.c and nothing around it. What camsource takes beyond this is the cost of the
// pipeline: scripts/bench builds it. Other settings are for scripts/bench-settings.
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

static void put(FILE *f, unsigned long long value, int bytes) { // little endian
	for (; bytes--; value >>= 8)
		fputc((int)(value & 255), f);
}

static void ivf_header(FILE *f, int width, int height, unsigned frames) {
	fwrite("DKIF\0\0 \0VP80", 1, 12, f);
	put(f, width, 2), put(f, height, 2), put(f, 30, 4), put(f, 1, 4), put(f, frames, 4), put(f, 0, 4);
}

// set changes one of libvpx's controls: "noise=4".
static void set(vp8 *e, const char *assignment) {
	static const struct { const char *name; int id; } controls[] = {
		{"noise=", VP8E_SET_NOISE_SENSITIVITY}, {"static=", VP8E_SET_STATIC_THRESHOLD}, {"intra=", VP8E_SET_MAX_INTRA_BITRATE_PCT},
		{"golden=", VP8E_SET_GF_CBR_BOOST_PCT}, {"partitions=", VP8E_SET_TOKEN_PARTITIONS}};
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

int main(int argc, char **argv) {
	struct stat st;
	int fd, width, height;
	unsigned n = 0, key = 1;
	char head[200] = "", *line;
	if (argc < 5 || (fd = open(argv[1], O_RDONLY)) < 0 || fstat(fd, &st))
		die("usage: bare FILE.y4m BITRATE_KBIT SPEED OUT.ivf [SETTING=VALUE…]");
	if (pread(fd, head, sizeof head - 1, 0) < 0 || !(line = strchr(head, '\n')) || sscanf(head, "YUV4MPEG2 W%d H%d ", &width, &height) != 2)
		die("not a YUV4MPEG2 file");
	FILE *out = fopen(argv[4], "wb");
	vp8 *e = calloc(1, sizeof *e);
	if (!out || vp8_open(e, width, height, atoi(argv[2]), atoi(argv[3]), 1, 900))
		die(out ? e->detail : "cannot write");
	for (int i = 5; i < argc; i++)
		set(e, argv[i]);
	long luma = (long)width * height, picture = luma * 3 / 2;
	uint8_t *y = malloc(picture);
	ivf_header(out, width, height, (unsigned)(st.st_size / picture));
	for (off_t at = line + 1 - head + 6; at + picture <= st.st_size; at += 6 + picture, n++, key = 0) { // behind "FRAME\n"
		if (!y || pread(fd, y, picture, at) != picture)
			die("cannot read");
		if (vp8_encode(e, y, y + luma, y + luma * 5 / 4, width, width / 2, n * 3000LL, 3000, key))
			die(e->detail);
		if (!e->size)
			continue; // dropped
		put(out, e->size, 4), put(out, n, 8);
		fwrite(e->data, 1, e->size, out);
	}
	vp8_close(e);
	return fclose(out) ? 1 : 0;
}
