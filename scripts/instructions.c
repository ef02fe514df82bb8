// A plugin for qemu-user that counts the guest's instructions, of all threads together, and
// prints the sum at the end. scripts/bench-instructions and bench-settings build and use it.
// Interface: qemu/docs/devel/tcg-plugins.rst, version 1; Debian ships no header for it.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t plugin_id;
struct block; // of guest code that QEMU translates at once
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct block *, void (*)(unsigned, void *), int flags, void *);
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct block *);
__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t instructions;

// add_block adds the instructions of an executed block; threads run at the same time.
static void add_block(unsigned cpu, void *block_instructions) {
	__atomic_fetch_add(&instructions, (uintptr_t)block_instructions, __ATOMIC_RELAXED);
}

static void watch_block(plugin_id id, struct block *b) {
	void *block_instructions = (void *)(uintptr_t)qemu_plugin_tb_n_insns(b);
	qemu_plugin_register_vcpu_tb_exec_cb(b, add_block, 0, block_instructions);
}

static void print_sum(plugin_id id, void *unused) {
	fprintf(stderr, "INSTRUCTIONS %llu\n", (unsigned long long)instructions);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
	qemu_plugin_register_vcpu_tb_trans_cb(id, watch_block);
	qemu_plugin_register_atexit_cb(id, print_sum, NULL);
	return 0;
}
