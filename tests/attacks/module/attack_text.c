// SPDX-License-Identifier: GPL-2.0-only
/* One byte of kernel text, and a pointer that is constant once the kernel has booted. */
#include <linux/string.h>

#include "attacks.h"

static unsigned long store_byte(u8 *at, u8 value)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("movb %[v], (%[p])")
		     : [f] "+r"(faulted) : [v] "q"(value), [p] "r"(at) : "memory", "cc");
	return faulted;
}

static void attempt(struct rf_report *r)
{
	struct rf_alias alias;
	unsigned long faulted;

	if (!rf_alias_map(r, &alias))
		return;
	rf_guard_begin();
	faulted = store_byte(alias.at, r->before[0] ^ 1);
	if (rf_guard_end())
		rf_say(r, "stuck=yes");
	rf_judge(r, faulted);
	rf_alias_unmap(&alias);
}

void attack_commit_creds(struct rf_report *r)
{
	/*
	 * The five-byte NOP that ftrace leaves at a function's start ends in a displacement that means nothing: with
	 * another value there the instruction is still a NOP, whoever runs it meanwhile.
	 */
	static const u8 nop[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	u8 *start = rf_symbol("commit_creds");

	for (unsigned int i = 0; start && i < 32; i++) {
		if (memcmp(start + i, nop, sizeof(nop)))
			continue;
		if (rf_aim(r, "commit_creds", i + sizeof(nop) - 1, 1))
			attempt(r);
		return;
	}
	rf_skip(r, "no NOP at the start of commit_creds");
}

void attack_ro_after_init(struct rf_report *r)
{
	/* Slab cache pointers that are followed only when a block device or a socket is made. */
	static const char *const pointers[] = { "bdev_cachep", "sock_inode_cachep", "names_cachep" };
	u8 *start = rf_symbol("__start_ro_after_init"), *end = rf_symbol("__end_ro_after_init");

	for (unsigned int i = 0; i < ARRAY_SIZE(pointers); i++) {
		u8 *at = rf_symbol(pointers[i]);

		if (!at || at < start || at >= end)
			continue;
		if (rf_aim(r, pointers[i], 0, sizeof(void *)))
			attempt(r);
		return;
	}
	rf_skip(r, "none of the pointers known here is ro_after_init in this kernel");
}
