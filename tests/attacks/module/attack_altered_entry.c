// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own table altered first, through a writable mapping of it, then the key switched:
 * the kernel itself would patch in the foreign target.
 */
#include <linux/string.h>

#include "poke.h"

void attack_altered_entry(struct rf_report *r)
{
	struct rf_jump_site site;
	struct rf_alias alias;
	unsigned long faulted = 1;
	u8 forged[RF_INSN], *at;
	bool forged_stood = false;
	s32 target;

	if (!rf_jump_site(r, "__xen_pgd_pin", &site))
		return;
	at = r->at;
	rf_branch(forged, JMP32_INSN_OPCODE, at, rf_forged);
	if (!rf_aim_at(r, "__start___jump_table", (u8 *)&site.entry->target, sizeof(target)) ||
	    !rf_alias_map(r, &alias))
		return;
	target = (long)rf_forged - (long)&site.entry->target;
	rf_guard_begin();
	asm volatile(RF_STORE("movl %[v], (%[p])")
		     : [f] "+r"(faulted)
		     : [v] "r"(target), [p] "r"(alias.at)
		     : "memory", "cc");
	if (rf_guard_end())
		rf_say(r, "stuck=yes");
	if (site.entry->target == target) {
		static_key_slow_inc(jump_entry_key(site.entry));
		forged_stood = !memcmp(at, forged, RF_INSN);
		static_key_slow_dec(jump_entry_key(site.entry));
		rf_say(r, "site=%s", forged_stood ? "forged" : "UNFORGED");
	}
	rf_judge(r, faulted);
	if (r->outcome == RF_LANDED && !forged_stood)
		r->outcome = RF_UNCHANGED;
	rf_alias_unmap(&alias);
}
