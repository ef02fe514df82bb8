// Our names for libvpx's controls. See control.c.
#ifndef KRAZYCAM_CONTROL_H
#define KRAZYCAM_CONTROL_H

#include "vp8.h"

enum control { SPEED, NOISE, STATIC_THRESHOLD, MAX_INTRA, GOLDEN_BOOST, TOKEN_PARTITIONS, CONTROLS };

// vp8_set_control returns 0, or -1 with e->detail set.
int vp8_set_control(vp8 *e, enum control control, int value);

#endif
