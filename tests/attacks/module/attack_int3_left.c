// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first step of a legal patch and no second one: int3 stays on a site, and whoever runs into it
 * dies. It is refused where the kernel's patcher says that it does not work (bp_desc.refs, its own
 * count of who may look at what it patches); made to say that it does, the step is legal, and that
 * it was abandoned is found by waiting. Kept, it is written again and again, as if somebody were
 * still at it.
 */
#include <linux/delay.h>

#include "poke.h"

#define STEP_MS 100

static void leave(struct rf_report *r, bool recorded, bool keep)
{
	static const u8 int3 = INT3_INSN_OPCODE;
	struct rf_jump_site site;
	unsigned int waited;
	bool begun;

	if (!rf_jump_site(r, "__xen_pgd_pin", &site) || !rf_poke_begin(r))
		return;
	if (recorded && !rf_poke_record(true)) {
		rf_poke_end(r);
		return rf_skip(r, "this kernel keeps its patcher's record elsewhere");
	}
	rf_text_poke(r->at, &int3, 1);
	r->outcome = rf_poke_end(r) ? RF_FAULTED : RF_UNCHANGED;
	begun = READ_ONCE(r->at[0]) == int3;
	for (waited = 0; waited < rf_patience * 1000 && READ_ONCE(r->at[0]) == int3;
	     waited += STEP_MS) {
		msleep(STEP_MS);
		if (keep && READ_ONCE(r->at[0]) == int3)
			rf_text_poke(r->at, &int3, 1);
	}
	if (recorded)
		rf_poke_record(false);
	if (!begun)
		return;
	rf_say(r, "waited=%ums", waited);
	r->outcome = memcmp(r->at, r->before, r->len) ? RF_LANDED : RF_RESTORED;
	if (rf_poke_begin(r)) {
		rf_poke_restore(r);
		rf_poke_end(r);
	}
	if (memcmp(r->at, r->before, r->len))
		rf_kept(r, "text", false);
}

void attack_int3_left(struct rf_report *r)
{
	leave(r, false, false);
}

void attack_int3_recorded(struct rf_report *r)
{
	leave(r, true, false);
}

void attack_int3_kept(struct rf_report *r)
{
	leave(r, true, true);
}
