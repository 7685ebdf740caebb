// SPDX-License-Identifier: GPL-2.0-only
/*
 * Real patch sites, given by the kernel's own patchers what they must never hold: another
 * instruction than their forms, or the right one with a foreign target. Sites of functions that do
 * not run here: Xen's page tables, swap.
 */
#include <linux/string.h>

#include "poke.h"

/* Its first instruction is a jump label, so that it can be called with that forged: nothing is on
 * the stack yet. The first of the two has lost its label (7.3). */
#define SWAP (rf_symbol(SWAPOFF) ? SWAPOFF : "obj_cgroup_uncharge_zswap")
#define SWAPOFF "swap_cgroup_swapoff"
#define PIN "__xen_pgd_pin"
#define PIN_CALL "tp_func_xen_mmu_pgd_pin"

static bool swap_jumped(void)
{
	void (*swapoff)(int) = rf_symbol(SWAP);

	swapoff(0);
	return rf_forged_ran();
}

static bool power_called(void)
{
	return rf_power() == 8 && rf_forged_ran();
}

static bool power_of_three(void)
{
	return rf_power() == 27;
}

void attack_forged_insn(struct rf_report *r)
{
	/* The function returns at once. */
	static const u8 ret[RF_INSN] = { 0xc3, 0xcc, 0xcc, 0xcc, 0xcc };
	struct rf_jump_site site;

	if (!rf_jump_site(r, SWAP, &site) || !rf_poke_begin(r))
		return;
	rf_text_poke_bp(r->at, ret, RF_INSN, NULL);
	rf_poke_judge(r, ret, true, NULL);
}

void attack_forged_ftrace_insn(struct rf_report *r)
{
	/* mov $3, %edi: another first argument */
	static const u8 mov[RF_INSN] = { 0xbf, 0x03, 0x00, 0x00, 0x00 };

	if (!rf_ftrace_site(r, "int_pow") || !rf_poke_begin(r))
		return;
	/* text_poke_loc_init() takes only branches and nops, of what it is told to emulate. */
	rf_text_poke_bp(r->at, mov, RF_INSN, rf_nop);
	rf_poke_judge(r, mov, true, power_of_three);
}

void attack_forged_jump_target(struct rf_report *r)
{
	struct rf_jump_site site;
	u8 forged[RF_INSN];

	if (!rf_jump_site(r, SWAP, &site) || !rf_poke_begin(r))
		return;
	rf_branch(forged, JMP32_INSN_OPCODE, r->at, rf_forged);
	rf_text_poke_bp(r->at, forged, RF_INSN, NULL);
	rf_poke_judge(r, forged, true, swap_jumped);
}

void attack_forged_ftrace_target(struct rf_report *r)
{
	u8 forged[RF_INSN];

	if (!rf_ftrace_site(r, "int_pow") || !rf_poke_begin(r))
		return;
	rf_branch(forged, CALL_INSN_OPCODE, r->at, rf_forged);
	rf_text_poke_bp(r->at, forged, RF_INSN, NULL);
	rf_poke_judge(r, forged, true, power_called);
}

void attack_forged_call_target(struct rf_report *r)
{
	u8 forged[RF_INSN];

	if (!rf_call_site(r, PIN, "__SCK__" PIN_CALL) || !rf_poke_begin(r))
		return;
	rf_branch(forged, CALL_INSN_OPCODE, r->at, rf_forged);
	rf_patchers.arch_static_call_transform(r->at, NULL, rf_forged, false);
	rf_poke_judge(r, forged, true, NULL);
}

static bool trampoline_jumped(void)
{
	void (*trampoline)(void) = rf_symbol("__SCT__" PIN_CALL);

	trampoline();
	return rf_forged_ran();
}

void attack_forged_tramp_target(struct rf_report *r)
{
	u8 forged[RF_INSN];

	if (!rf_aim(r, "__SCT__" PIN_CALL, 0, RF_INSN) || !rf_poke_begin(r))
		return;
	rf_branch(forged, JMP32_INSN_OPCODE, r->at, rf_forged);
	rf_patchers.arch_static_call_transform(NULL, r->at, rf_forged, false);
	rf_poke_judge(r, forged, true, trampoline_jumped);
}

/* The kernel's own function gets an entry that is not in its table. */
void attack_forged_entry(struct rf_report *r)
{
	static struct jump_entry own;
	struct rf_jump_site site;
	u8 forged[RF_INSN];

	if (!rf_jump_site(r, SWAP, &site) || !rf_poke_begin(r))
		return;
	own.code = (long)r->at - (long)&own.code;
	own.target = (long)rf_forged - (long)&own.target;
	rf_branch(forged, JMP32_INSN_OPCODE, r->at, rf_forged);
	rf_patchers.arch_jump_label_transform(&own, JUMP_LABEL_JMP);
	rf_poke_judge(r, forged, true, swap_jumped);
}

/* No fault is survived here, and no lock let go by hand: whatever becomes of the forged patch, the
 * kernel patches on. */
void attack_patch_denied_lives(struct rf_report *r)
{
	struct rf_jump_site site;
	u8 forged[RF_INSN];
	bool on;

	if (!rf_jump_site(r, SWAP, &site) || !rf_poke_ready(r))
		return;
	rf_branch(forged, JMP32_INSN_OPCODE, r->at, rf_forged);
	rf_text_poke_bp(r->at, forged, RF_INSN, NULL);
	r->outcome = memcmp(r->at, r->before, RF_INSN) ? RF_LANDED : RF_UNCHANGED;
	rf_text_poke_bp(r->at, site.jmp, RF_INSN, NULL);
	on = !memcmp(r->at, site.jmp, RF_INSN);
	rf_text_poke_bp(r->at, r->before, RF_INSN, NULL);
	on = on && !memcmp(r->at, r->before, RF_INSN);
	rf_say(r, "then=%s", on ? "patched" : "UNCHANGED");
}

/* Only the last of the three steps shows what the first two were for, so the tail must not be
 * written without the first. */
void attack_tail_without_int3(struct rf_report *r)
{
	struct rf_jump_site site;
	u8 forged[RF_INSN];

	if (!rf_jump_site(r, PIN, &site) || !rf_poke_begin(r))
		return;
	memcpy(forged, r->before, RF_INSN);
	memcpy(forged + 1, site.jmp + 1, RF_INSN - 1);
	rf_text_poke(r->at + 1, forged + 1, RF_INSN - 1);
	rf_poke_judge(r, forged, true, NULL);
}
