// SPDX-License-Identifier: GPL-2.0-only
/* String stores: one instruction, many writes. A refused one must leave its count and both pointers alone. */
#include <linux/string.h>

#include "attacks.h"

#define STRING(op, elements, bytes)								\
	struct rf_alias alias;									\
	unsigned long faulted = 1, cx = elements;						\
	u8 from[(elements) * (bytes)], *si = from, *di;						\
	bool stuck;										\
												\
	if (!rf_aim_banner(r, &alias, 8, sizeof(from)))						\
		return;										\
	for (unsigned int i = 0; i < sizeof(from); i++)						\
		from[i] = r->before[i] ^ 1;							\
	di = alias.at;										\
	rf_guard_begin();									\
	asm volatile(RF_STORE(op)								\
		     : [f] "+r"(faulted), "+c"(cx), "+S"(si), "+D"(di) : : "memory", "cc");	\
	stuck = rf_guard_end();									\
	if (stuck)										\
		rf_say(r, "stuck=yes");								\
	if (faulted) {										\
		rf_kept(r, "rcx", cx == (elements));						\
		rf_kept(r, "rsi", si == from);							\
		rf_kept(r, "rdi", di == alias.at);						\
	}											\
	rf_judge(r, faulted);									\
	rf_alias_unmap(&alias)

void attack_rep_movsb(struct rf_report *r)
{
	STRING("rep movsb", 16, 1);
}

void attack_rep_movsq(struct rf_report *r)
{
	STRING("rep movsq", 4, 8);
}
