// Huffman decoding of a baseline scan, for package convert. libjpeg does all the rest: header,
// dequantisation, inverse DCT. Its own Huffman decoder is as fast but forgives what a healthy
// camera never sends: runs beyond a block's end, values that no picture of 8 bits has, restart
// markers that come early. After a loss these are what is seen, since Huffman codes fall into step
// again within a block or two.
//
// Sources: ITU-T T.81 annex F.2 (decoding), B.1.1.2 (fill bytes), E.2.4 (restart markers).
#include "entropy.h"

#include <jpegint.h>
#include <string.h>

// Some cameras leave bytes that belong to nothing before a marker: 1 to 10 were seen. What remains
// of a torn picture begins at 47.
enum { MAX_STRAY = 10, MAX_STRAY_BEFORE_END = 12, MAX_STRAY_ALL = 64 };

enum {
	WORD_BITS = 8 * sizeof(size_t),
	HALF_BITS = WORD_BITS / 2,
	MAX_DC_SIZE = 11, // bits of a difference, T.81 table F.1
	MAX_AC_SIZE = 10, // table F.2
	// The transform of samples from -128 to 127 gives coefficients of up to 8 * 128. A cheap chip's
	// may be a little off.
	MAX_COEFFICIENT = 8 * 136,
};

static const uint8_t natural_order[DCTSIZE2] = {
	 0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
};

static int is_symbol(int v, int dc) {
	if (dc)
		return v <= MAX_DC_SIZE;
	return (v & 15) ? (v & 15) <= MAX_AC_SIZE : v == 0x00 || v == 0xf0; // else end of block or 16 zeros
}

// make_table returns 0 if the table is none that an encoder writes: a header was torn.
static int make_table(huffman_table *h, const JHUFF_TBL *t, int dc) {
	uint8_t seen[256] = {0};
	int code = 0, n = 0;
	if (!t)
		return 0;
	memset(h->symbols, 0, sizeof h->symbols);
	for (int length = 1; length <= 16; length++, code <<= 1) {
		h->offset[length] = n - code;
		for (int i = 0; i < t->bits[length]; i++, n++, code++) {
			if (n > 255 || code >= 1 << length)
				return 0;
			int v = t->huffval[n];
			if (seen[v]++ || !is_symbol(v, dc))
				return 0;
			h->values[n] = v;
			if (length > LOOKAHEAD)
				continue;
			for (int j = 0; j < 1 << (LOOKAHEAD - length); j++)
				h->symbols[(code << (LOOKAHEAD - length)) + j] = length << 8 | v;
		}
		h->max_code[length] = t->bits[length] ? code - 1 : -1;
	}
	return n > 0;
}

// next_byte returns the next byte of coded data, and zero once there is none.
static int next_byte(scan *s) {
	if (!s->at_marker && s->next < s->end) {
		if (*s->next != 0xff)
			return *s->next++;
		const uint8_t *p = s->next + 1;
		while (p < s->end && *p == 0xff) // fill bytes
			p++;
		if (p < s->end && *p == 0) { // a stuffed byte
			s->next = p + 1;
			return 0xff;
		}
	}
	s->at_marker = 1;
	s->padded++;
	return 0;
}

// fill makes sure of at least HALF_BITS bits.
static inline void fill(scan *s) {
	if (s->count > HALF_BITS)
		return;
#if SIZE_MAX > 0xffffffff && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	uint32_t word;
	if (s->end - s->next >= (ptrdiff_t)sizeof word && !s->at_marker) {
		memcpy(&word, s->next, sizeof word);
		if (!(word & ~(word + 0x01010101u) & 0x80808080u)) { // no byte of it is ff
			s->bits |= (size_t)__builtin_bswap32(word) << (HALF_BITS - s->count);
			s->count += 32;
			s->next += sizeof word;
			return;
		}
	}
#endif
	while (s->count <= WORD_BITS - 8) {
		s->bits |= (size_t)next_byte(s) << (WORD_BITS - 8 - s->count);
		s->count += 8;
	}
}

static inline void skip_bits(scan *s, int n) {
	s->bits <<= n;
	s->count -= n;
}

// read_value reads a value of n bits, 1 to 11 (T.81 F.2.2.1, EXTEND).
static inline int read_value(scan *s, int n) {
	int v = (int)(s->bits >> (WORD_BITS - n));
	skip_bits(s, n);
	return v < 1 << (n - 1) ? v - (1 << n) + 1 : v;
}

static int read_long_symbol(scan *s, const huffman_table *h) {
	for (int n = LOOKAHEAD + 1; n <= 16; n++) {
		int code = (int)(s->bits >> (WORD_BITS - n));
		if (code <= h->max_code[n]) {
			skip_bits(s, n);
			return h->values[(code + h->offset[n]) & 255];
		}
	}
	return -1;
}

// read_symbol returns -1 for a code that the table does not have.
static inline int read_symbol(scan *s, const huffman_table *h) {
	int found = h->symbols[s->bits >> (WORD_BITS - LOOKAHEAD)];
	if (!found)
		return read_long_symbol(s, h);
	skip_bits(s, found >> 8);
	return found & 255;
}

// decode_block decodes one block of component c into out, which is zero. It returns what is wrong,
// or NULL.
static inline const char *decode_block(scan *s, int c, JCOEF *out) {
	fill(s);
	int size = read_symbol(s, s->dc[c]);
	if (size < 0)
		return "a code that the table does not have";
	if (size > 0) {
		if (WORD_BITS < 64)
			fill(s);
		s->prediction[c] += read_value(s, size);
		if (s->prediction[c] > s->dc_limit[c] || s->prediction[c] < -s->dc_limit[c])
			return "a block brighter than white or darker than black";
	}
	out[0] = s->prediction[c];
	const huffman_table *ac = s->ac[c];
	const uint8_t *max_size = s->max_size[c];
	for (int k = 1; k < DCTSIZE2; k++) {
		fill(s);
		int symbol = read_symbol(s, ac);
		if (symbol <= 0) {
			if (symbol == 0)
				return NULL; // end of block
			return "a code that the table does not have";
		}
		k += symbol >> 4;
		size = symbol & 15;
		if (k >= DCTSIZE2)
			return "a run beyond the end of its block";
		if (size == 0) // 16 zeros: 15 here, one of the loop's
			continue;
		if (size > max_size[k])
			return "a coefficient that no picture has";
		if (WORD_BITS < 64)
			fill(s);
		out[natural_order[k]] = read_value(s, size);
	}
	return NULL;
}

// ended_early says whether bits were used that were not there.
static int ended_early(const scan *s) { return s->count < 8 * s->padded; }

// rewind_scan gives back the whole bytes that were read ahead.
static void rewind_scan(scan *s) {
	for (int n = s->count / 8 - s->padded; n > 0; n--) {
		s->next--;
		if (*s->next == 0 && s->next[-1] == 0xff)
			s->next--;
	}
	s->bits = 0;
	s->count = s->padded = s->at_marker = 0;
}

// find_marker returns the first marker's FF, or the end.
static const uint8_t *find_marker(const uint8_t *p, const uint8_t *end) {
	while (p < end && (p = memchr(p, 0xff, end - p))) {
		const uint8_t *code = p + 1;
		while (code < end && *code == 0xff)
			code++;
		if (code == end || *code != 0)
			return p;
		p = code + 1;
	}
	return end;
}

// marker_code returns the code of the marker at p and the place behind it, or 0 at the end.
static int marker_code(const uint8_t *p, const uint8_t *end, const uint8_t **behind) {
	while (p < end && *p == 0xff)
		p++;
	*behind = p < end ? p + 1 : end;
	return p < end ? *p : 0;
}

static void fail_stray(j_decompress_ptr cinfo, ptrdiff_t count) {
	char words[80];
	snprintf(words, sizeof words, "%td bytes too many before a marker", count);
	scan_fail(cinfo, words);
}

// pass_restart goes over the restart marker that is due.
static void pass_restart(j_decompress_ptr cinfo, scan *s) {
	if (ended_early(s))
		scan_fail(cinfo, "ends before its restart marker");
	rewind_scan(s);
	const uint8_t *marker = find_marker(s->next, s->end), *behind;
	ptrdiff_t stray = marker - s->next;
	if (stray > MAX_STRAY || (s->stray += stray) > MAX_STRAY_ALL)
		fail_stray(cinfo, stray);
	if (marker_code(marker, s->end, &behind) != JPEG_RST0 + s->restart_next)
		scan_fail(cinfo, "restart markers out of order");
	s->next = behind;
	s->restart_next = (s->restart_next + 1) & 7;
	s->restart_left = cinfo->restart_interval;
	memset(s->prediction, 0, sizeof s->prediction);
}

// decode_mcu stands in for that of libjpeg's struct jpeg_entropy_decoder.
static boolean decode_mcu(j_decompress_ptr cinfo, JBLOCKROW *blocks) {
	scan *s = scan_of(cinfo);
	if (cinfo->restart_interval) {
		if (s->restart_left == 0)
			pass_restart(cinfo, s);
		s->restart_left--;
	}
	int luma = 0, luma_blocks = 0;
	for (int b = 0; b < cinfo->blocks_in_MCU; b++) {
		int c = cinfo->MCU_membership[b];
		const char *fault = decode_block(s, c, blocks[b][0]);
		if (fault)
			scan_fail(cinfo, ended_early(s) ? "ends too early" : fault);
		if (c == 0) {
			luma += s->prediction[0];
			luma_blocks++;
		}
	}
	// The first coefficient is 8 times the mean.
	if (s->brightness)
		s->brightness[s->mcu++] = luma * s->dc_step / (DCTSIZE * luma_blocks);
	if (s->at_marker && ended_early(s))
		scan_fail(cinfo, "ends too early");
	return TRUE;
}

// limit_values sets what a component's coefficients can be at most, rounding included.
static int limit_values(scan *s, int c, const JQUANT_TBL *q) {
	if (!q) // a lossless JPEG has none
		return 0;
	for (int k = 0; k < DCTSIZE2; k++) {
		int step = q->quantval[natural_order[k]], most, bits = 0;
		if (step == 0)
			return 0;
		most = MAX_COEFFICIENT / step + 1;
		if (k == 0)
			s->dc_limit[c] = most;
		if (k == 0 && c == 0)
			s->dc_step = step;
		while (most >> bits)
			bits++;
		s->max_size[c][k] = bits;
	}
	return 1;
}

void scan_begin(j_decompress_ptr cinfo) {
	scan *s = scan_of(cinfo);
	s->next = cinfo->src->next_input_byte;
	s->end = s->next + cinfo->src->bytes_in_buffer;
	s->bits = 0;
	s->count = s->padded = s->at_marker = s->restart_next = s->stray = s->mcu = 0;
	s->restart_left = cinfo->restart_interval;
	memset(s->prediction, 0, sizeof s->prediction);
	for (int c = 0; c < cinfo->comps_in_scan; c++) {
		const jpeg_component_info *component = cinfo->cur_comp_info[c];
		huffman_table *dc = &s->tables[0][component->dc_tbl_no], *ac = &s->tables[1][component->ac_tbl_no];
		if (!limit_values(s, c, component->quant_table) ||
		    !make_table(dc, cinfo->dc_huff_tbl_ptrs[component->dc_tbl_no], 1) ||
		    !make_table(ac, cinfo->ac_huff_tbl_ptrs[component->ac_tbl_no], 0))
			scan_fail(cinfo, "tables that no encoder writes");
		s->dc[c] = dc;
		s->ac[c] = ac;
	}
	cinfo->entropy->decode_mcu = decode_mcu;
}

// is_padding says whether all bytes are the same, as what a camera fills its buffers with.
static int is_padding(const uint8_t *p, const uint8_t *end) {
	return end - p < 2 || !memcmp(p, p + 1, end - p - 1);
}

// A camera may write no end marker, or one restart marker too many. It may leave a few bytes
// before the end marker, padding of any length, and behind it what it likes: the rest of an
// earlier picture, for example. Anything else shows that a part of the scan was left over.
const uint8_t *scan_finish(j_decompress_ptr cinfo) {
	scan *s = scan_of(cinfo);
	rewind_scan(s);
	for (const uint8_t *p = s->next, *behind;; p = behind) {
		const uint8_t *marker = find_marker(p, s->end);
		if (marker - p > MAX_STRAY_BEFORE_END && !is_padding(p, marker))
			fail_stray(cinfo, marker - p);
		int code = marker_code(marker, s->end, &behind);
		if (code < JPEG_RST0 || code > JPEG_RST0 + 7)
			return marker;
		if (!cinfo->restart_interval || s->restart_left || code != JPEG_RST0 + s->restart_next)
			scan_fail(cinfo, "a restart marker too many");
		s->restart_next = -1; // one of them
	}
}
