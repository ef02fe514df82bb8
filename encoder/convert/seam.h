// What a loss leaves behind where the number of MCUs came out right by chance. See seam.c.
#ifndef KRAZYCAM_SEAM_H
#define KRAZYCAM_SEAM_H

#include <stdint.h>

// A brightness is that of each MCU in a scan, -128 to 127 and a little more.
typedef struct {
	const int16_t *mcus, *before; // of this picture and the one before
	int count, columns; // MCUs of the picture, and of a row
	int interval; // MCUs between restart markers, 0: none
} brightness;

// find_seam returns the MCU from which on all became brighter or darker by the same amount, up to the
// next restart marker or the end; 0 if there is none.
int find_seam(const brightness *b);

#endif
