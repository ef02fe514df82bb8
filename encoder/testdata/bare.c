// bare FILE.y4m BITRATE_KBIT SPEED OUT.ivf: encodes a mapped 4:2:0 YUV4MPEG2 file at
// 30 fps with the settings of ../vp8.c and nothing around it. What camsource takes
// beyond this is the cost of the pipeline. scripts/bench builds it.
#include "../vp8.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

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

int main(int argc, char **argv) {
	struct stat st;
	int fd, width, height;
	unsigned n = 0, key = 1;
	if (argc != 5 || (fd = open(argv[1], O_RDONLY)) < 0 || fstat(fd, &st))
		die("usage: bare FILE.y4m BITRATE_KBIT SPEED OUT.ivf");
	char head[64] = ""; // sscanf on the mapping itself would look for its terminating zero, 400 MB away
	const char *p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0), *end = p + st.st_size;
	if (p == MAP_FAILED || st.st_size < 4096 || sscanf(memcpy(head, p, sizeof head - 1), "YUV4MPEG2 W%d H%d ", &width, &height) != 2)
		die("not a YUV4MPEG2 file");
	FILE *out = fopen(argv[4], "wb");
	vp8 *e = calloc(1, sizeof *e);
	if (!out || vp8_open(e, width, height, atoi(argv[2]), atoi(argv[3]), 1, 900))
		die(out ? e->detail : "cannot write");
	long luma = (long)width * height;
	ivf_header(out, width, height, (unsigned)(st.st_size / (luma * 3 / 2)));
	p = memchr(p, '\n', 200) + 1;
	for (; end - p >= 6 + luma * 3 / 2; p += 6 + luma * 3 / 2, n++, key = 0) {
		const uint8_t *y = (const uint8_t *)p + 6; // behind "FRAME\n"
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
