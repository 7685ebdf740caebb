// SPDX-License-Identifier: GPL-2.0-only
/* Read-modify-writes. A refused one must not have loaded what it read into its register either. */
#include <asm/cpufeature.h>
#include <linux/string.h>

#include "attacks.h"

static void finish(struct rf_report *r, struct rf_alias *alias, unsigned long faulted)
{
	if (rf_guard_end())
		rf_say(r, "stuck=yes");
	rf_judge(r, faulted);
	rf_alias_unmap(alias);
}

void attack_lock_xadd(struct rf_report *r)
{
	struct rf_alias alias;
	unsigned long faulted = 1, ax = 1;

	if (!rf_aim_banner(r, &alias, 8, 8))
		return;
	rf_guard_begin();
	asm volatile(RF_STORE("lock xaddq %[v], (%[p])")
		     : [f] "+r"(faulted), [v] "+a"(ax) : [p] "r"(alias.at) : "memory", "cc");
	if (faulted)
		rf_kept(r, "rax", ax == 1);
	finish(r, &alias, faulted);
}

void attack_xchg(struct rf_report *r)
{
	struct rf_alias alias;
	unsigned long faulted = 1, ax = 0x6b74726f;

	if (!rf_aim_banner(r, &alias, 8, 8))
		return;
	rf_guard_begin();
	asm volatile(RF_STORE("xchgq %[v], (%[p])")
		     : [f] "+r"(faulted), [v] "+a"(ax) : [p] "r"(alias.at) : "memory", "cc");
	if (faulted)
		rf_kept(r, "rax", ax == 0x6b74726f);
	finish(r, &alias, faulted);
}

void attack_lock_cmpxchg(struct rf_report *r)
{
	struct rf_alias alias;
	unsigned long faulted = 1, ax, old;

	if (!rf_aim_banner(r, &alias, 8, 8))
		return;
	memcpy(&old, r->before, sizeof(old));
	ax = old;
	rf_guard_begin();
	asm volatile(RF_STORE("lock cmpxchgq %[v], (%[p])")
		     : [f] "+r"(faulted), "+a"(ax) : [v] "r"(old ^ 1), [p] "r"(alias.at) : "memory", "cc");
	if (faulted)
		rf_kept(r, "rax", ax == old);
	finish(r, &alias, faulted);
}

void attack_cmpxchg16b(struct rf_report *r)
{
	struct rf_alias alias;
	unsigned long faulted = 1, old[2], ax, dx;

	if (!boot_cpu_has(X86_FEATURE_CX16)) {
		rf_skip(r, "this processor has no cmpxchg16b");
		return;
	}
	if (!rf_aim_banner(r, &alias, 16, 16))
		return;
	memcpy(old, r->before, sizeof(old));
	ax = old[0];
	dx = old[1];
	rf_guard_begin();
	asm volatile(RF_STORE("lock cmpxchg16b (%[p])")
		     : [f] "+r"(faulted), "+a"(ax), "+d"(dx)
		     : "b"(old[0] ^ 1), "c"(old[1]), [p] "r"(alias.at) : "memory", "cc");
	if (faulted)
		rf_kept(r, "rdx:rax", ax == old[0] && dx == old[1]);
	finish(r, &alias, faulted);
}
