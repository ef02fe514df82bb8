// Runs before main, while the process has one thread: whatever comes later inherits it.

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436 // on all architectures
#endif
#define CLOEXEC_RANGE 4 // CLOSE_RANGE_CLOEXEC, Linux 5.11

// A test's binary starts other programs, some of which need root's rights.
static int is_test(void)
{
	const char *name = program_invocation_short_name;
	size_t n = strlen(name);
	return n >= 5 && strcmp(name + n - 5, ".test") == 0;
}

// A kernel that knows less refuses with EINVAL: main reads what came of it. The bounding set is
// root's to empty (CAP_SETPCAP); without root no_new_privs is enough.
__attribute__((constructor)) static void gain_nothing(void)
{
	if (is_test())
		return;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (int capability = 0; capability < 64; capability++)
		prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	syscall(SYS_close_range, 3, UINT_MAX, CLOEXEC_RANGE);
}
