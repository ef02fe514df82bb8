// What a loss leaves behind where the number of MCUs came out right by chance.
//
// Brightness is coded as the difference to the block before. A loss takes differences away, so all
// that follows is brighter or darker by the same amount, up to the next restart marker or the end
// of the picture. In a smooth picture, whose blocks take a few bits, that happens once in some
// thousand losses of up to 512 bytes. The picture before shows it: hardly anything else
// changes a picture from one MCU in the middle of a row to the end by the same amount, and the rest
// not at all. (A flash of light does so from one row on.) A thing that does, such as a screen whose
// lower part changes, and whose edge is slanted or steps within a row of MCUs, looks the same: each
// time it changes that costs one picture, since the next one is like its predecessor.
#include "seam.h"

#include <stdlib.h>

enum {
	LEAST_STEP = 12, // of 255
	LEAST_MCUS = 10,
	MOST_UNLIKE = 2, // MCUs in a row, among those that changed alike
};

static int at_most(int value, int most) { return value < most ? value : most; }

static int change_of(const brightness *b, int mcu) { return b->mcus[mcu] - b->before[mcu]; }

// is_seam says whether the MCUs from begin to end changed by step, and the others did not: in sum,
// what is left after that is a quarter at most.
static int is_seam(const brightness *b, int begin, int end, int step) {
	int within_with = 0, within_without = 0, outside_with = 0, outside_without = 0, most = abs(step);
	for (int mcu = 0; mcu < b->count; mcu++) {
		int change = change_of(b, mcu);
		int with = at_most(abs(change - step), most), without = at_most(abs(change), most);
		if (mcu >= begin && mcu < end) {
			within_with += with;
			within_without += without;
		} else {
			outside_with += with;
			outside_without += without;
		}
	}
	return 4 * within_with <= within_without && 4 * outside_without <= outside_with;
}

// find_begin goes back from end, but not beyond start, while MCUs changed by about step.
static int find_begin(const brightness *b, int start, int end, int step) {
	int begin = end;
	for (int mcu = end - 1; mcu >= start && begin - mcu <= MOST_UNLIKE + 1; mcu--)
		if (2 * abs(change_of(b, mcu) - step) <= abs(step))
			begin = mcu;
	return begin;
}

int find_seam(const brightness *b) {
	int interval = b->interval ? b->interval : b->count;
	for (int start = 0; start < b->count; start += interval) {
		int end = at_most(start + interval, b->count);
		int step = change_of(b, end - 1);
		if (abs(step) < LEAST_STEP)
			continue;
		int begin = find_begin(b, start, end, step);
		if (begin >= b->count - b->columns) // the last row may hold less picture than padding
			continue;
		if (end - begin >= LEAST_MCUS && begin % b->columns != 0 && is_seam(b, begin, end, step))
			return begin;
	}
	return 0;
}
