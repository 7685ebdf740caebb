// SPDX-License-Identifier: GPL-2.0-only
/* Stores of 16 and 32 bytes: KVM splits the first in two, and may not be able to emulate the second at all. */
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/trapnr.h>
#include <linux/string.h>

#include "attacks.h"
#include "compat.h"

static void value(const struct rf_report *r, u8 *to)
{
	for (unsigned int i = 0; i < r->len; i++)
		to[i] = r->before[i] ^ 1;
}

#define AVX_BITS (BIT(26) | BIT(28))	/* CPUID.1:ECX XSAVE and AVX */

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

/*
 * A kernel that found the machine's XSAVE inconsistent runs without AVX: emulated SVM does not tell KVM of XSETBV, so
 * every guest there. An attacker in ring 0 turns it on for himself, and so does this. Returns what to restore.
 */
static unsigned long avx_on(void)
{
	unsigned long cr4;

	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	asm volatile("mov %0, %%cr4" : : "r"(cr4 | X86_CR4_OSXSAVE) : "memory");
	asm volatile("xgetbv\n	orl %[bits], %%eax\n	xsetbv"
		     : : [bits] "i"(XFEATURE_MASK_FP | XFEATURE_MASK_SSE | XFEATURE_MASK_YMM), "c"(0) : "rax", "rdx", "cc");
	return cr4;
}

void attack_avx_32(struct rf_report *r)
{
	struct rf_alias alias;
	unsigned long faulted = 1, trap = 0, cr4;
	unsigned int tries = 0;
	bool stuck;
	u8 bytes[32];

	/* CPUID itself: the kernel's own view says no in the case above. */
	if ((cpuid_ecx(1) & AVX_BITS) != AVX_BITS) {
		rf_skip(r, "this processor has no AVX");
		return;
	}
	if (!rf_aim_banner(r, &alias, sizeof(bytes), sizeof(bytes)))
		return;
	value(r, bytes);
	rf_guard_begin();
	kernel_fpu_begin();
	do {
		/* An exit in between puts KVM's idea of XCR0 back, and the instruction is undefined: try again. */
		cr4 = avx_on();
		trap = 0;
		/* RF_STORE, but with the trap's number in rax. */
		asm volatile("3:	vmovdqu (%[v]), %%ymm0\n"
			     "1:	vmovdqu %%ymm0, (%[p])\n	xorl %k[f], %k[f]\n2:\n"
			     _ASM_EXTABLE_FAULT(1b, 2b) _ASM_EXTABLE_FAULT(3b, 2b)
			     : [f] "+r"(faulted), "+a"(trap) : [v] "r"(bytes), [p] "r"(alias.at) : "memory", "cc");
		asm volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
	} while (faulted && trap == X86_TRAP_UD && ++tries < 5);
	rf_say(r, "trap=%lu tries=%u", trap, tries + 1);
	kernel_fpu_end();
	stuck = rf_guard_end();
	if (stuck)
		rf_say(r, "stuck=yes");
	rf_judge(r, faulted);
	rf_alias_unmap(&alias);
}
