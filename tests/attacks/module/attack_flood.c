// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same store again and again, each of which is somebody's record: the log of whoever records
 * them in full grows by a kilobyte each. Every second store puts back what the one before it has
 * changed, so that it is seen of each whether it landed.
 */
#include <linux/sched.h>

#include "attacks.h"

#define STORES 1000u
#define AT_ONCE 20u	/* without preemption, and before the guard looks */

static unsigned long change(u8 *at)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("xorb $1, (%[p])") : [f] "+r"(faulted) : [p] "r"(at) : "memory", "cc");
	return faulted;
}

void attack_log_flood(struct rf_report *r)
{
	unsigned int landed = 0, faulted = 0, made = 0;
	struct rf_alias alias;
	bool freed = false;

	if (!rf_aim_banner(r, &alias, 8, 1))
		return;
	while (made < STORES && !freed) {
		rf_guard_begin();
		for (unsigned int i = 0; i < AT_ONCE; i++, made++) {
			u8 before = READ_ONCE(*alias.at);

			faulted += change(alias.at);
			landed += READ_ONCE(*alias.at) != before;
		}
		freed = rf_guard_end();
		cond_resched();
	}
	rf_alias_unmap(&alias);
	rf_say(r, "stores=%u landed=%u refused=%u%s", made, landed, faulted, freed ? " FREED" : "");
	/* Landed only if each of them did, as it does where nobody refuses it. */
	r->outcome = landed == made ? RF_LANDED : !landed && faulted == made ? RF_FAULTED : RF_NONE;
}
