// SPDX-License-Identifier: GPL-2.0-only
/*
 * The padding before a function, where a kernel that counts its calls has one instruction: the very
 * same, for this place, but for one byte, which is how far it shifts. Nobody calls it there.
 */
#include <linux/string.h>

#include "poke.h"

#define LONGEST 10

/* arch/x86/kernel/callthunks.c patch_dest(), by the kernel's own template. */
static unsigned int accounting(u8 *insn, const u8 *function)
{
	const u8 *start = rf_symbol("skl_call_thunk_template"), *end = rf_symbol("skl_call_thunk_tail");
	unsigned int len = start && end ? end - start : 0;
	s32 disp;

	if (!len || len > LONGEST)
		return 0;
	memcpy(insn, start, len);
	if (insn[3] == 0x3d) { /* relative to RIP */
		memcpy(&disp, insn + 4, sizeof(disp));
		disp += end - function;
		memcpy(insn + 4, &disp, sizeof(disp));
	}
	return len;
}

void attack_forged_thunk(struct rf_report *r)
{
	u8 *function = rf_symbol("int_pow");
	u8 forged[LONGEST];
	unsigned int len = function ? accounting(forged, function) : 0;

	if (!len || (function[-1] != 0x90 && memcmp(function - len, forged, len))) {
		rf_skip(r, "this kernel has no padding to count calls in");
		return;
	}
	forged[len - 1]++;
	if (!rf_aim(r, "int_pow", -(unsigned long)len, len) || !rf_poke_begin(r))
		return;
	rf_text_poke(r->at, forged, len);
	rf_poke_judge(r, forged, false, NULL);
}
