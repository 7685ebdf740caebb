// SPDX-License-Identifier: GPL-2.0-only
/*
 * The jump that replaces a probe is five bytes long, and may reach over instructions behind the one
 * that was probed. One of these is an LLDT here, which the fence may have replaced by a trap of its
 * own. The probe is in the kernel's table, with a detour of the module's, and was never registered.
 * Its jump written and taken back leaves the LLDT that the kernel was built with.
 *
 * One byte at a time: a fence that asks about a store next to its trap is asked before one gets
 * there.
 */
#include <linux/kprobes.h>
#include <linux/string.h>

#include "poke.h"
#include "registers.h"

#define BACK 2	      /* a conditional jump stands before it: the probe's place */

static struct optimized_kprobe probe;

/* The int3 protocol, the tail byte by byte. */
static void write_insn(u8 *at, const u8 *insn)
{
	static const u8 int3 = INT3_INSN_OPCODE;

	rf_text_poke(at, &int3, 1);
	for (unsigned int i = 1; i < RF_INSN; i++)
		rf_text_poke(at + i, insn + i, 1);
	rf_text_poke(at, insn, 1);
}

void attack_probe_over_trap(struct rf_report *r)
{
	static const u8 lldt[] = { 0x0f, 0x00, 0xd6 }; /* lldt %si */
	u8 *at = rf_find_insn("native_set_ldt", lldt, sizeof(lldt));
	u8 forged[RF_INSN], built[RF_INSN];
	bool jump, lost;

	if (!at || at[-BACK] != 0x75) /* jne */
		return rf_skip(r, "native_set_ldt() is built otherwise here");
	if (!rf_aim_at(r, "native_set_ldt", at - BACK, RF_INSN) || !rf_poke_begin(r))
		return;
	if (!rf_poke_record(true) || !rf_forge_probe(&probe, r->at, r->at, (void *)rf_forged)) {
		rf_poke_end(r);
		return rf_skip(r, "this kernel keeps its probes or its patcher's record elsewhere");
	}
	memcpy(built, r->before, RF_INSN);
	memcpy(built + BACK, lldt, sizeof(lldt));
	rf_branch(forged, JMP32_INSN_OPCODE, r->at, rf_forged);
	write_insn(r->at, forged);
	jump = !memcmp(r->at, forged, RF_INSN);
	/* What the fence put there is gone as soon as one of its bytes is. */
	lost = memcmp(at, r->before + BACK, sizeof(lldt));
	write_insn(r->at, built);
	lost |= memcmp(at, r->before + BACK, sizeof(lldt)) != 0;
	rf_say(r, "jump=%s built=%s", jump ? "yes" : "no",
	       memcmp(r->before, built, RF_INSN) ? "trap" : "lldt");
	rf_poke_restore(r);
	r->outcome = rf_poke_end(r) ? RF_FAULTED : RF_UNCHANGED;
	if (lost)
		r->outcome = RF_LANDED;
	else if (memcmp(r->at, r->before, RF_INSN))
		rf_kept(r, "text", false);
	rf_unforge_probe(&probe);
	rf_poke_record(false);
}
