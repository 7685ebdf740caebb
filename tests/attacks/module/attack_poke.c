// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's patchers, called on text that is no patch site. int_pow() is called by nobody here
 * and its result shows what it has become: it begins with `mov $1, %eax`.
 */
#include <linux/string.h>

#include "poke.h"

static const u8 one[RF_INSN] = { 0xb8, 0x01, 0x00, 0x00, 0x00 };
static const u8 two[RF_INSN] = { 0xb8, 0x02, 0x00, 0x00, 0x00 };

static bool aim(struct rf_report *r, unsigned int skip, unsigned int len)
{
	u8 *start = rf_symbol("int_pow");

	for (unsigned int i = 0; start && i < 16; i++)
		if (!memcmp(start + i, one, sizeof(one)))
			return rf_aim(r, "int_pow", i + skip, len);
	rf_skip(r, "int_pow does not begin as expected");
	return false;
}

static bool doubled(void)
{
	return rf_power() == 16;
}

static bool jumped(void)
{
	rf_power();
	return rf_forged_ran();
}

void attack_forged_non_site(struct rf_report *r)
{
	if (!aim(r, 1, 1) || !rf_poke_begin(r))
		return;
	rf_text_poke(r->at, two + 1, 1);
	rf_poke_judge(r, two + 1, false, doubled);
}

void attack_forged_poke_bp(struct rf_report *r)
{
	u8 forged[RF_INSN];

	if (!aim(r, 0, RF_INSN) || !rf_poke_begin(r))
		return;
	rf_branch(forged, JMP32_INSN_OPCODE, r->at, rf_forged);
	rf_text_poke_bp(r->at, forged, RF_INSN, NULL);
	rf_poke_judge(r, forged, false, jumped);
}

void attack_forged_copy(struct rf_report *r)
{
	struct rf_alias alias;
	u8 copy[RF_INSN];

	/* It refuses the kernel's own text by address, so it is given another address of the same
	 * frame. */
	if (!aim(r, 0, RF_INSN) || !rf_alias_map(r, &alias))
		return;
	if (rf_poke_begin(r)) {
		memcpy(copy, two, sizeof(copy));
		rf_patchers.text_poke_copy(alias.at, copy, sizeof(copy));
		rf_patchers.text_poke_sync();
		rf_poke_judge(r, two, false, doubled);
	}
	rf_alias_unmap(&alias);
}
