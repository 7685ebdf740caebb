// SPDX-License-Identifier: GPL-2.0-only
/* Stores of 16 and 32 bytes: KVM splits the first in two, and may not be able to emulate the second at all. */
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <linux/string.h>

#include "attacks.h"

static void value(const struct rf_report *r, u8 *to)
{
	for (unsigned int i = 0; i < r->len; i++)
		to[i] = r->before[i] ^ 1;
}

/* The module is built without vector registers, so the compiler cannot be told which one this takes. */
#define WIDE(load, store)									\
	struct rf_alias alias;									\
	unsigned long faulted = 1;								\
	bool stuck;										\
												\
	if (!rf_aim_banner(r, &alias, sizeof(bytes), sizeof(bytes)))				\
		return;										\
	value(r, bytes);									\
	rf_guard_begin();									\
	kernel_fpu_begin();									\
	asm volatile(load "\n" RF_STORE(store)							\
		     : [f] "+r"(faulted) : [v] "r"(bytes), [p] "r"(alias.at) : "memory", "cc");	\
	kernel_fpu_end();									\
	stuck = rf_guard_end();									\
	if (stuck)										\
		rf_say(r, "stuck=yes");								\
	rf_judge(r, faulted);									\
	rf_alias_unmap(&alias)

void attack_sse_16(struct rf_report *r)
{
	u8 bytes[16];
	WIDE("movups (%[v]), %%xmm0", "movups %%xmm0, (%[p])");
}

void attack_avx_32(struct rf_report *r)
{
	u8 bytes[32];

	if (!boot_cpu_has(X86_FEATURE_AVX)) {
		rf_skip(r, "this processor has no AVX");
		return;
	}
	WIDE("vmovdqu (%[v]), %%ymm0", "vmovdqu %%ymm0, (%[p])");
}
