// Huffman decoding of a baseline JPEG scan, in place of libjpeg's own, so that a torn scan is
// noticed. See entropy.c.
#ifndef KRAZYCAM_ENTROPY_H
#define KRAZYCAM_ENTROPY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <jpeglib.h>

enum {
	LOOKAHEAD = 10, // bits of a code that one look into a table decodes
	MAX_RUN = 15,   // zeros before a coefficient
};

// A huffman_table decodes codes of up to LOOKAHEAD bits at once and longer ones bit by bit.
typedef struct {
	// value << 16 | symbol << 8 | bits of code and value. The value is 0 if a look does not show all of
	// it, the entry is 0 if it does not show all of the code.
	int32_t entries[1 << LOOKAHEAD];
	int32_t max_code[17];             // the largest code of each length, -1 if there is none
	int32_t offset[17];               // from a code of that length to its place in values
	uint8_t values[256];
	uint8_t bits[17]; // how many codes there are of each length, as in JHUFF_TBL
	int count;        // how many in all, 0: the table decodes nothing
} huffman_table;

// A window is where the decoder stands.
typedef struct {
	const uint8_t *next; // bytes that are not in bits yet
	size_t bits;         // bits not used yet, from the top
	int count;           // how many
} window;

// A scan is one being decoded. It points into the caller's JPEG.
typedef struct {
	window window;
	const uint8_t *end;
	int padded;            // bytes of the window that were not there: zeros behind a marker or the end
	int at_marker;         // the window's next is at a marker, or at the end
	unsigned restart_left; // MCUs until the next restart marker
	int restart_next;      // its number, 0 to 7
	int stray;             // bytes before markers that belong to nothing, so far

	const huffman_table *dc[MAX_COMPS_IN_SCAN], *ac[MAX_COMPS_IN_SCAN];
	int prediction[MAX_COMPS_IN_SCAN];
	int dc_limit[MAX_COMPS_IN_SCAN];
	int dc_step; // of luma
	// Bits that a coefficient can have, by place in zigzag. Beyond the block it can have none.
	uint8_t max_size[MAX_COMPS_IN_SCAN][DCTSIZE2 + MAX_RUN];

	int16_t *brightness; // of each MCU, the caller's memory; NULL: not wanted
	int mcu;             // how many are decoded

	huffman_table tables[2][NUM_HUFF_TBLS];
} scan;

// scan_fail is what the owner of a scan does when it is torn: it must not return.
void scan_fail(j_decompress_ptr cinfo, const char *what);

// scan_of returns the scan of a decompressor; it belongs to the caller of scan_begin.
scan *scan_of(j_decompress_ptr cinfo);

// scan_begin takes over the decoding of a baseline scan behind jpeg_start_decompress.
void scan_begin(j_decompress_ptr cinfo);

// scan_finish judges what follows the last MCU and returns where it ended.
const uint8_t *scan_finish(j_decompress_ptr cinfo);

#endif
