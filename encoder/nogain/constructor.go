package nogain

import "C" // so that constructor.c is compiled and linked
