// Names for libvpx's controls. See control.c.
#ifndef KRAZYCAM_CONTROL_H
#define KRAZYCAM_CONTROL_H

#include "vp8.h"

enum control { SPEED, NOISE, STATIC_THRESHOLD, MAX_INTRA, GOLDEN_BOOST, TOKEN_PARTITIONS, CONTROLS };

// vp8_control sets one; 0, or -1 with e->detail set.
int vp8_control(vp8 *e, enum control what, int value);

#endif
