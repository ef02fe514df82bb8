// Runs before main; see doc.go. Source: mallopt(3), M_ARENA_MAX.
#include <malloc.h>

__attribute__((constructor)) static void keep_one_heap(void) { mallopt(M_ARENA_MAX, 1); }
