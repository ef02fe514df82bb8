// A plugin for qemu-user that counts the guest's instructions, all threads together,
// and prints the sum at the end. scripts/bench-instructions builds and uses it.
// Interface: qemu/docs/devel/tcg-plugins.rst, version 1; Debian ships no header for it.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t id;
struct block;
extern void qemu_plugin_register_vcpu_tb_trans_cb(id, void (*)(id, struct block *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct block *, void (*)(unsigned, void *), int flags, void *);
extern void qemu_plugin_register_atexit_cb(id, void (*)(id, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct block *);
__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t count;

// executed adds a block's instructions; threads run at the same time.
static void executed(unsigned cpu, void *n) { __atomic_fetch_add(&count, (uintptr_t)n, __ATOMIC_RELAXED); }

static void translated(id me, struct block *b) {
	qemu_plugin_register_vcpu_tb_exec_cb(b, executed, 0, (void *)(uintptr_t)qemu_plugin_tb_n_insns(b));
}

static void ended(id me, void *unused) { fprintf(stderr, "INSTRUCTIONS %llu\n", (unsigned long long)count); }

__attribute__((visibility("default"))) int qemu_plugin_install(id me, const void *info, int argc, char **argv) {
	qemu_plugin_register_vcpu_tb_trans_cb(me, translated);
	qemu_plugin_register_atexit_cb(me, ended, NULL);
	return 0;
}
