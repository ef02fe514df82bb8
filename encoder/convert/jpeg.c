// libjpeg's calls for package convert: a JPEG as a camera sends it becomes an I420 picture. Whether
// it is whole, the decoder says, and not its last bytes: cameras leave the end marker out, pad
// behind it, or leave there what the buffer held before. entropy.c judges the common kind, baseline
// in one scan; of the others each of libjpeg's warnings counts.
//
// A JPEG may be up to 15 pixels wider and higher than was agreed, the last blocks of an encoder
// that does not know the picture's size: the rest is cut off. Two JPEGs of half the height in one
// buffer are the fields of one picture, and their rows are put in turn; the first is the upper one
// unless its APP0 AVI1 says otherwise.
//
// The decoder's memory is allocated once; libjpeg's own, anew for each picture, so that tables of
// one never decode the next. What it keeps of a good picture is its brightness, for seam.c.
#include "jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include <libyuv/planar_functions.h>
#include <libyuv/scale.h>

#include "entropy.h"
#include "seam.h"

enum {
	MAX_SURPLUS = 15,   // pixels beyond the agreed size
	MAX_STRAY = 16,     // bytes before markers in the header
	MAX_SCANS = 64,     // of a progressive JPEG; encoders write 10
	ROW_SLACK = 32,     // bytes: surplus and whole blocks
	MAX_GROUP = 4 * DCTSIZE, // rows that libjpeg writes at once
};

// A plane is where a component goes.
typedef struct {
	uint8_t *rows;
	int stride, height; // of the whole picture, both fields
} plane;

struct jpeg_decoder {
	int width, height;
	uint8_t *scratch; // three planes
	int scratch_stride;
	uint8_t *unused_row; // for rows beyond the picture
	int16_t *brightness, *before; // of each MCU, of two pictures; before is of the last good one
	int most_mcus, mcus_before;   // 0: there was none
	int seam; // where the last picture had one, or 0

	// Of the picture that is being decoded.
	plane planes[3];
	int fields, parity; // 1 or 2; of two, the one at hand
	int width_blocks, height_blocks; // of chroma, in luma's: 1, 2 or 4 pixels share a sample
	int grey;
	const uint8_t *end; // where the JPEG ended

	struct jpeg_decompress_struct cinfo;
	struct jpeg_error_mgr errors;
	struct jpeg_source_mgr source;
	struct jpeg_progress_mgr progress;
	scan scan;
	long stray; // bytes before markers, by libjpeg's warnings
	int exhausted; // it asked for more than there is
	jmp_buf escape;
	char *detail;
};

static jpeg_decoder *decoder_of(j_common_ptr cinfo) { return cinfo->client_data; }

scan *scan_of(j_decompress_ptr cinfo) { return &decoder_of((j_common_ptr)cinfo)->scan; }

static void fail(jpeg_decoder *d, const char *what) {
	snprintf(d->detail, JPEG_DETAIL_SIZE, "%s", what);
	longjmp(d->escape, 1);
}

void scan_fail(j_decompress_ptr cinfo, const char *what) { fail(decoder_of((j_common_ptr)cinfo), what); }

static void exit_error(j_common_ptr cinfo) {
	char words[JMSG_LENGTH_MAX];
	if (decoder_of(cinfo)->exhausted)
		fail(decoder_of(cinfo), "ends too early");
	cinfo->err->format_message(cinfo, words);
	fail(decoder_of(cinfo), words);
}

// emit_message gets warnings as level -1. After most of them, parts of the picture are guessed.
static void emit_message(j_common_ptr cinfo, int level) {
	jpeg_decoder *d = decoder_of(cinfo);
	if (level >= 0)
		return;
	switch (cinfo->err->msg_code) {
	case JWRN_EXTRANEOUS_DATA:
		d->stray += cinfo->err->msg_parm.i[0];
		if (d->stray <= MAX_STRAY)
			return;
		break;
	case JWRN_JFIF_MAJOR: // what the application segments say
	case JWRN_ADOBE_XFORM:
		return;
	}
	exit_error(cinfo);
}

static void output_message(j_common_ptr cinfo) { (void)cinfo; }

static void init_source(j_decompress_ptr cinfo) { (void)cinfo; }

// fill_input is called at the end of the buffer. An end marker there ends the picture if it is
// whole, and is an error where more must come.
static boolean fill_input(j_decompress_ptr cinfo) {
	static const JOCTET end[2] = {0xff, JPEG_EOI};
	decoder_of((j_common_ptr)cinfo)->exhausted = 1;
	cinfo->src->next_input_byte = end;
	cinfo->src->bytes_in_buffer = sizeof end;
	return TRUE;
}

static void skip_input(j_decompress_ptr cinfo, long count) {
	if (count <= 0)
		return;
	if ((size_t)count >= cinfo->src->bytes_in_buffer) {
		fill_input(cinfo);
		return;
	}
	cinfo->src->next_input_byte += count;
	cinfo->src->bytes_in_buffer -= count;
}

static void count_scans(j_common_ptr cinfo) {
	if (((j_decompress_ptr)cinfo)->input_scan_number > MAX_SCANS)
		fail(decoder_of(cinfo), "more scans than a camera sends");
}

static void begin_jpeg(jpeg_decoder *d, const uint8_t *src, size_t len) {
	j_decompress_ptr cinfo = &d->cinfo;
	cinfo->err = jpeg_std_error(&d->errors);
	d->errors.error_exit = exit_error;
	d->errors.emit_message = emit_message;
	d->errors.output_message = output_message;
	cinfo->client_data = d;
	jpeg_create_decompress(cinfo); // keeps err and client_data
	d->source = (struct jpeg_source_mgr){
		.next_input_byte = src, .bytes_in_buffer = len,
		.init_source = init_source, .fill_input_buffer = fill_input, .skip_input_data = skip_input,
		.resync_to_restart = jpeg_resync_to_restart, .term_source = init_source,
	};
	cinfo->src = &d->source;
	d->progress.progress_monitor = count_scans;
	cinfo->progress = &d->progress;
	jpeg_save_markers(cinfo, JPEG_APP0, 5);
	d->stray = d->exhausted = 0;
}

// is_within says whether a side is as agreed, or as an encoder rounds it up.
static int is_within(int side, int agreed) { return side >= agreed && side <= agreed + MAX_SURPLUS; }

// check_header reads the header and refuses, before a sample is decoded, every JPEG whose planes
// might not fit.
static void check_header(jpeg_decoder *d) {
	j_decompress_ptr cinfo = &d->cinfo;
	jpeg_read_header(cinfo, TRUE);
	int width = cinfo->image_width, height = cinfo->image_height;
	d->fields = !is_within(height, d->height) && is_within(height, (d->height + 1) / 2) ? 2 : 1;
	if (!is_within(width, d->width) || (d->fields == 1 && !is_within(height, d->height))) {
		snprintf(d->detail, JPEG_DETAIL_SIZE, "picture of %dx%d", width, height);
		longjmp(d->escape, 1);
	}
	d->grey = cinfo->num_components == 1;
	if (!d->grey && (cinfo->num_components != 3 || cinfo->jpeg_color_space != JCS_YCbCr))
		fail(d, "neither YCbCr nor grey");
	const jpeg_component_info *y = &cinfo->comp_info[0], *u = y + 1, *v = y + 2;
	d->width_blocks = d->height_blocks = 1;
	if (d->grey)
		return;
	if (y->h_samp_factor != cinfo->max_h_samp_factor || y->v_samp_factor != cinfo->max_v_samp_factor ||
	    u->h_samp_factor != v->h_samp_factor || u->v_samp_factor != v->v_samp_factor ||
	    y->h_samp_factor % u->h_samp_factor || y->v_samp_factor % u->v_samp_factor)
		fail(d, "chroma larger than luma, or of two sizes");
	d->width_blocks = y->h_samp_factor / u->h_samp_factor;
	d->height_blocks = y->v_samp_factor / u->v_samp_factor;
}

static int divide_up(int n, int by) { return (n + by - 1) / by; }

// place_planes decides where each component goes: straight into the picture if it has the right
// shape there, for libjpeg writes whole blocks; else into scratch.
static void place_planes(jpeg_decoder *d, const i420_picture *dst) {
	const plane direct[3] = {
		{dst->y, dst->y_stride, d->height},
		{dst->u, dst->uv_stride, d->height / 2},
		{dst->v, dst->uv_stride, d->height / 2},
	};
	for (int c = 0; c < d->cinfo.num_components; c++) {
		int across = c ? d->width_blocks : 1, down = c ? d->height_blocks : 1;
		int width = c ? d->width / 2 : d->width;
		int written = d->cinfo.comp_info[c].width_in_blocks * DCTSIZE;
		d->planes[c] = direct[c];
		if (written == width && (c == 0 || (across == 2 && down == 2)))
			continue;
		d->planes[c] = (plane){
			d->scratch + (size_t)c * d->scratch_stride * d->height, d->scratch_stride, divide_up(d->height, down),
		};
	}
}

// write_rows has libjpeg write all rows.
static void write_rows(jpeg_decoder *d) {
	j_decompress_ptr cinfo = &d->cinfo;
	JSAMPROW rows[3][MAX_GROUP];
	JSAMPARRAY components[3] = {rows[0], rows[1], rows[2]};
	while (cinfo->output_scanline < cinfo->output_height) {
		int group = cinfo->output_scanline / (cinfo->max_v_samp_factor * DCTSIZE);
		for (int c = 0; c < cinfo->num_components; c++) {
			const plane *p = &d->planes[c];
			int count = cinfo->comp_info[c].v_samp_factor * DCTSIZE;
			for (int i = 0; i < count; i++) {
				int row = (group * count + i) * d->fields + d->parity;
				rows[c][i] = row < p->height ? p->rows + (size_t)row * p->stride : d->unused_row;
			}
		}
		jpeg_read_raw_data(cinfo, components, cinfo->max_v_samp_factor * DCTSIZE);
	}
}

// check_seam refuses a picture that shows a loss, by comparison with the one before. A second one in
// the same place passes: then it is the scene that is like that.
static void check_seam(jpeg_decoder *d) {
	int mcus = d->cinfo.MCUs_per_row * d->cinfo.MCU_rows_in_scan;
	const brightness b = {
		d->scan.brightness, d->before, mcus, d->cinfo.MCUs_per_row, d->cinfo.restart_interval,
	};
	int seen = d->seam;
	if (d->fields == 2) // the one before is the other field
		return;
	d->seam = d->mcus_before == mcus ? find_seam(&b) : 0;
	if (d->seam && d->seam != seen)
		fail(d, "a part brighter or darker than before: some of it is missing");
	d->before = d->scan.brightness;
	d->scan.brightness = d->before == d->brightness ? d->brightness + d->most_mcus : d->brightness;
	d->mcus_before = mcus;
}

// decode_one decodes one JPEG: a picture, or the second of two fields. It returns 0 or -1.
static int decode_one(jpeg_decoder *d, const i420_picture *dst, const uint8_t *src, size_t len) {
	j_decompress_ptr cinfo = &d->cinfo;
	int second = d->fields == 2;
	memset(cinfo, 0, sizeof *cinfo);
	if (setjmp(d->escape)) {
		jpeg_destroy_decompress(cinfo);
		return -1;
	}
	begin_jpeg(d, src, len);
	int grey = d->grey, across = d->width_blocks, down = d->height_blocks;
	check_header(d);
	if (second && (d->fields != 2 || d->grey != grey || d->width_blocks != across || d->height_blocks != down))
		fail(d, "two fields that do not fit");
	jpeg_saved_marker_ptr app0 = cinfo->marker_list;
	if (!second) {
		int lower_first = app0 && app0->data_length >= 5 && !memcmp(app0->data, "AVI1\2", 5);
		d->parity = d->fields == 2 && lower_first;
		place_planes(d, dst);
	} else {
		d->parity = !d->parity;
	}
	cinfo->raw_data_out = TRUE;
	cinfo->out_color_space = cinfo->jpeg_color_space;
	if (cinfo->arith_code)
		fail(d, "arithmetic coding, in which damage does not show");
	int baseline = !cinfo->progressive_mode;
	jpeg_start_decompress(cinfo);
	if (baseline && cinfo->comps_in_scan == cinfo->num_components && !jpeg_has_multiple_scans(cinfo))
		scan_begin(cinfo);
	else
		baseline = 0;
	write_rows(d);
	if (baseline) {
		d->end = scan_finish(cinfo);
		check_seam(d);
	}
	else if (d->exhausted)
		fail(d, "ends before its end marker");
	else
		d->end = cinfo->src->next_input_byte;
	jpeg_destroy_decompress(cinfo);
	return 0;
}

// find_start returns the next start marker, or NULL.
static const uint8_t *find_start(const uint8_t *p, const uint8_t *end) {
	for (; end - p > 2 && (p = memchr(p, 0xff, end - p - 2)); p++)
		if (p[1] == 0xd8 && p[2] == 0xff)
			return p;
	return NULL;
}

// finish_picture brings what is in scratch into the picture.
static void finish_picture(jpeg_decoder *d, const i420_picture *dst) {
	int width = d->width / 2, height = d->height / 2;
	uint8_t *chroma[2] = {dst->u, dst->v};
	if (d->planes[0].rows != dst->y)
		CopyPlane(d->planes[0].rows, d->planes[0].stride, dst->y, dst->y_stride, d->width, d->height);
	for (int c = 1; c <= 2; c++) {
		const plane *p = &d->planes[c];
		if (d->grey)
			SetPlane(chroma[c - 1], dst->uv_stride, width, height, 128);
		else if (p->rows != chroma[c - 1])
			ScalePlane(p->rows, p->stride, divide_up(d->width, d->width_blocks), p->height,
			           chroma[c - 1], dst->uv_stride, width, height, kFilterBilinear);
	}
}

int jpeg_decode(jpeg_decoder *d, const i420_picture *dst, const uint8_t *src, size_t len,
                char detail[JPEG_DETAIL_SIZE]) {
	const uint8_t *end = src + len;
	d->detail = detail;
	d->fields = 1;
	if (decode_one(d, dst, src, len))
		return -1;
	if (d->fields == 2) {
		const uint8_t *second = find_start(d->end, end);
		if (!second) {
			snprintf(detail, JPEG_DETAIL_SIZE, "half the height, and no second field");
			return -1;
		}
		if (decode_one(d, dst, second, end - second))
			return -1;
	}
	finish_picture(d, dst);
	return 0;
}

// count_blocks is how many MCUs a side has at most.
static int count_blocks(int side) { return (side + MAX_SURPLUS) / DCTSIZE + 1; }

jpeg_decoder *jpeg_open(int width, int height) {
	jpeg_decoder *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->width = width;
	d->height = height;
	d->scratch_stride = (width + ROW_SLACK + 31) & ~31;
	d->scratch = malloc((size_t)3 * d->scratch_stride * height);
	d->unused_row = malloc(d->scratch_stride);
	d->most_mcus = count_blocks(width) * count_blocks(height);
	d->brightness = malloc(2 * sizeof *d->brightness * d->most_mcus);
	d->scan.brightness = d->brightness;
	if (d->scratch && d->unused_row && d->brightness)
		return d;
	jpeg_close(d);
	return NULL;
}

void jpeg_close(jpeg_decoder *d) {
	if (!d)
		return;
	free(d->scratch);
	free(d->unused_row);
	free(d->brightness);
	free(d);
}
