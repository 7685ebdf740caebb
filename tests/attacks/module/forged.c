// SPDX-License-Identifier: GPL-2.0-only
/* Where forged instructions lead: code of this module. */
#include <asm/ibt.h>
#include <linux/linkage.h>
#include <linux/math.h>
#include <linux/string.h>

#include "poke.h"

/* BYTES_NOP5 of arch/x86/include/asm/nops.h: what ftrace and jump labels leave. */
const u8 rf_nop[RF_INSN] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

int rf_forged_count;

/* As an ftrace trampoline it is entered with a function's arguments in their registers, and must
 * leave them there. */
asm("	.pushsection .text\n"
    "	.globl rf_forged\n"
    "	.type rf_forged, @function\n"
    "rf_forged:\n"
    "	" ASM_ENDBR "	movl $1, rf_forged_count(%rip)\n"
    "	" ASM_RET "	.size rf_forged, . - rf_forged\n"
    "	.popsection\n");

bool rf_forged_ran(void)
{
	bool ran = READ_ONCE(rf_forged_count);

	WRITE_ONCE(rf_forged_count, 0);
	return ran;
}

u64 rf_power(void)
{
	/* The compiler may know what int_pow() gives. */
	u64 (*volatile call)(u64, unsigned int) = int_pow;

	return call(2, 3);
}

void rf_branch(u8 *insn, u8 opcode, const void *at, const void *target)
{
	s32 rel = (long)target - (long)at - RF_INSN;

	insn[0] = opcode;
	memcpy(insn + 1, &rel, sizeof(rel));
}
