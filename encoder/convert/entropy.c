// Huffman decoding of a baseline scan, for package convert. libjpeg does all the rest: header,
// dequantisation, inverse DCT. Its own Huffman decoder is as fast but forgives what a healthy
// camera never sends: runs beyond a block's end, values that no picture of 8 bits has, restart
// markers that come early. After a loss these are what is seen, since Huffman codes fall into step
// again within a block or two.
//
// This takes half of a picture's conversion. What it depends on: where the decoder stands is in
// registers throughout an MCU; most codes and their values are one look into a table; no branch
// depends on what is as good as random.
//
// Sources: ITU-T T.81 annex F.2 (decoding), B.1.1.2 (fill bytes), E.2.4 (restart markers).
#include "entropy.h"

#include <jpegint.h>
#include <string.h>

// Some cameras leave bytes that belong to nothing before a marker: 1 to 10 were seen. What remains
// of a torn picture begins at 47.
enum { MAX_STRAY = 10, MAX_STRAY_BEFORE_END = 12, MAX_STRAY_ALL = 64 };

// A half is what fill reads at once: half a word of bits.
#if SIZE_MAX > 0xffffffff
typedef uint32_t half;
#else
typedef uint16_t half;
#endif

enum {
	HALF_BITS = 8 * sizeof(half),
	WORD_BITS = 8 * sizeof(size_t),
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

// make_entry joins a symbol and the bits of its code and value together. The symbol of a difference
// is the size of the value, that of a coefficient the zeros before it and the size.
static int32_t make_entry(int code_length, int symbol) { return symbol << 8 | (code_length + (symbol & 15)); }

// extend is the value of size bits, 1 to 11, with which bits begin (T.81 F.2.2.1, EXTEND). A branch
// on its sign would be guessed wrong every second time.
static inline int extend(size_t bits, int size) {
	int negative = -(int)(~bits >> (WORD_BITS - 1));
	return (int)(bits >> (WORD_BITS - size)) + (negative & (1 - (1 << size)));
}

// add_code makes the entries of all looks that begin with a code.
static void add_code(huffman_table *h, int code, int length, int symbol) {
	int rest = LOOKAHEAD - length, size = symbol & 15;
	int32_t entry = make_entry(length, symbol), *to = h->entries + (code << rest);
	for (size_t i = 0; i < (size_t)1 << rest; i++) {
		int value = size > 0 && size <= rest ? extend(i << (WORD_BITS - rest), size) : 0;
		to[i] = value * 65536 + entry;
	}
}

// make_table returns 0 if the table is none that an encoder writes: a header was torn.
static int make_table(huffman_table *h, const JHUFF_TBL *t, int dc) {
	uint8_t seen[256] = {0};
	int code = 0, n = 0;
	memset(h->entries, 0, sizeof h->entries);
	for (int length = 1; length <= 16; length++, code <<= 1) {
		h->offset[length] = n - code;
		for (int i = 0; i < t->bits[length]; i++, n++, code++) {
			if (n > 255 || code >= 1 << length)
				return 0;
			int v = t->huffval[n];
			if (seen[v]++ || !is_symbol(v, dc))
				return 0;
			h->values[n] = v;
			if (length <= LOOKAHEAD)
				add_code(h, code, length, v);
		}
		h->max_code[length] = t->bits[length] ? code - 1 : -1;
	}
	h->count = n;
	return n > 0;
}

// prepare_table has h decode what t says. A camera sends the same tables with each picture, and their
// chroma components share one.
static int prepare_table(huffman_table *h, const JHUFF_TBL *t, int dc) {
	if (!t)
		return 0;
	if (h->count > 0 && !memcmp(h->bits, t->bits, sizeof h->bits) && !memcmp(h->values, t->huffval, h->count))
		return 1;
	h->count = 0;
	memcpy(h->bits, t->bits, sizeof h->bits);
	return make_table(h, t, dc);
}

// next_byte returns the next byte of coded data, and zero once there is none.
static int next_byte(scan *s) {
	if (!s->at_marker && s->window.next < s->end) {
		if (*s->window.next != 0xff)
			return *s->window.next++;
		const uint8_t *p = s->window.next + 1;
		while (p < s->end && *p == 0xff) // fill bytes
			p++;
		if (p < s->end && *p == 0) { // a stuffed byte
			s->window.next = p + 1;
			return 0xff;
		}
	}
	s->at_marker = 1;
	s->padded++;
	return 0;
}

// fill_slowly is fill byte by byte: at stuffed bytes, at markers and at the end.
static __attribute__((noinline)) window fill_slowly(scan *s, window w) {
	s->window = w;
	while (s->window.count <= WORD_BITS - 8) {
		s->window.bits |= (size_t)next_byte(s) << (WORD_BITS - 8 - s->window.count);
		s->window.count += 8;
	}
	return s->window;
}

static size_t has_ff(size_t word) {
	const size_t ones = (half)-1 / 255;
	return word & ~(word + ones) & 128 * ones;
}

// swap_bytes makes the first byte in memory the highest.
static half swap_bytes(half h) {
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	return h;
#elif SIZE_MAX > 0xffffffff
	return __builtin_bswap32(h);
#else
	return __builtin_bswap16(h);
#endif
}

// fill makes sure of more than HALF_BITS bits: of 33 enough for a code and its value, 16 and 11; of
// 17 for one of them.
static inline void fill(scan *s, window *w) {
	half h;
	if (w->count > HALF_BITS)
		return;
	if (s->end - w->next >= (ptrdiff_t)sizeof h) {
		memcpy(&h, w->next, sizeof h);
		if (!has_ff(h)) {
			w->bits |= (size_t)swap_bytes(h) << (HALF_BITS - w->count);
			w->count += HALF_BITS;
			w->next += sizeof h;
			return;
		}
	}
	*w = fill_slowly(s, *w);
}

static inline void skip_bits(window *w, int n) {
	w->bits <<= n;
	w->count -= n;
}

// look_up_long returns what look_up does for a code longer than LOOKAHEAD.
static __attribute__((noinline)) int32_t look_up_long(const huffman_table *h, size_t bits) {
	for (int n = LOOKAHEAD + 1; n <= 16; n++) {
		int code = (int)(bits >> (WORD_BITS - n));
		if (code <= h->max_code[n])
			return make_entry(n, h->values[(code + h->offset[n]) & 255]);
	}
	return 0;
}

// look_up returns the entry of the code with which bits begin, or 0 for a code that the table does
// not have.
static inline int32_t look_up(const huffman_table *h, size_t bits) {
	int32_t entry = h->entries[bits >> (WORD_BITS - LOOKAHEAD)];
	return entry ? entry : look_up_long(h, bits);
}

// skip_code goes over the code of an entry, but not over its value.
static inline void skip_code(window *w, int32_t entry) { skip_bits(w, (entry & 255) - (entry >> 8 & 15)); }

// read_value goes over the code of an entry and its value, which it returns.
static inline int read_value(scan *s, window *w, int32_t entry) {
	int both = entry & 255, size = entry >> 8 & 15, value = entry >> 16;
	if (value) {
		skip_bits(w, both);
		return value;
	}
	if (WORD_BITS < 64) { // there may not be enough for both
		skip_bits(w, both - size);
		fill(s, w);
		both = size;
	}
	value = extend(w->bits << (both - size), size);
	skip_bits(w, both);
	return value;
}

// decode_block decodes one block of component c into out, which is zero. It returns what is wrong,
// or NULL.
static inline const char *decode_block(scan *s, window *w, int c, JCOEF *out) {
	static const char no_code[] = "a code that the table does not have";
	static const char beyond[] = "a run beyond the end of its block";
	fill(s, w);
	int32_t entry = look_up(s->dc[c], w->bits);
	if (!entry)
		return no_code;
	if (entry >> 8 & 15) {
		s->prediction[c] += read_value(s, w, entry);
		if (s->prediction[c] > s->dc_limit[c] || s->prediction[c] < -s->dc_limit[c])
			return "a block brighter than white or darker than black";
	} else {
		skip_code(w, entry);
	}
	out[0] = s->prediction[c];
	const huffman_table *ac = s->ac[c];
	const uint8_t *max_size = s->max_size[c];
	for (int k = 1; k < DCTSIZE2; k++) {
		fill(s, w);
		entry = look_up(ac, w->bits);
		int size = entry >> 8 & 15;
		k += entry >> 12 & 15;
		if (size > max_size[k]) { // none fits beyond the block
			skip_code(w, entry);
			return k < DCTSIZE2 ? "a coefficient that no picture has" : beyond;
		}
		if (size > 0) {
			out[natural_order[k]] = read_value(s, w, entry);
			continue;
		}
		if (!entry)
			return no_code;
		skip_code(w, entry);
		if ((entry >> 12 & 15) == 0)
			return NULL; // end of block
		if (k >= DCTSIZE2) // 16 zeros: 15 here, one of the loop's
			return beyond;
	}
	return NULL;
}

// ended_early says whether bits were used that were not there.
static int ended_early(const scan *s) { return s->window.count < 8 * s->padded; }

// rewind_scan gives back the whole bytes that were read ahead.
static void rewind_scan(scan *s) {
	const uint8_t *next = s->window.next;
	for (int n = s->window.count / 8 - s->padded; n > 0; n--) {
		next--;
		if (*next == 0 && next[-1] == 0xff)
			next--;
	}
	s->window = (window){.next = next};
	s->padded = s->at_marker = 0;
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
	const uint8_t *marker = find_marker(s->window.next, s->end), *behind;
	ptrdiff_t stray = marker - s->window.next;
	if (stray > MAX_STRAY || (s->stray += stray) > MAX_STRAY_ALL)
		fail_stray(cinfo, stray);
	if (marker_code(marker, s->end, &behind) != JPEG_RST0 + s->restart_next)
		scan_fail(cinfo, "restart markers out of order");
	s->window.next = behind;
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
	window w = s->window; // in registers meanwhile
	int luma = 0, luma_blocks = 0;
	for (int b = 0; b < cinfo->blocks_in_MCU; b++) {
		int c = cinfo->MCU_membership[b];
		const char *fault = decode_block(s, &w, c, blocks[b][0]);
		if (fault) {
			s->window = w;
			scan_fail(cinfo, ended_early(s) ? "ends too early" : fault);
		}
		if (c == 0) {
			luma += s->prediction[0];
			luma_blocks++;
		}
	}
	s->window = w;
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
	memset(s->max_size[c] + DCTSIZE2, 0, MAX_RUN);
	return 1;
}

void scan_begin(j_decompress_ptr cinfo) {
	scan *s = scan_of(cinfo);
	s->window = (window){.next = cinfo->src->next_input_byte};
	s->end = s->window.next + cinfo->src->bytes_in_buffer;
	s->padded = s->at_marker = s->restart_next = s->stray = s->mcu = 0;
	s->restart_left = cinfo->restart_interval;
	memset(s->prediction, 0, sizeof s->prediction);
	for (int c = 0; c < cinfo->comps_in_scan; c++) {
		const jpeg_component_info *component = cinfo->cur_comp_info[c];
		huffman_table *dc = &s->tables[0][component->dc_tbl_no], *ac = &s->tables[1][component->ac_tbl_no];
		if (!limit_values(s, c, component->quant_table) ||
		    !prepare_table(dc, cinfo->dc_huff_tbl_ptrs[component->dc_tbl_no], 1) ||
		    !prepare_table(ac, cinfo->ac_huff_tbl_ptrs[component->ac_tbl_no], 0))
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
	for (const uint8_t *p = s->window.next, *behind;; p = behind) {
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
