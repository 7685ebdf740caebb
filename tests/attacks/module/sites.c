// SPDX-License-Identifier: GPL-2.0-only
/* Real patch sites, out of the kernel's own tables. */
#include <linux/hash.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/static_call_types.h>
#include <linux/string.h>

#include "poke.h"

/* Functions are longer than that seldom, and the ones aimed at here never. */
#define REACH 0x400

static bool within(const char *function, const u8 *start, const u8 *at)
{
	char name[KSYM_SYMBOL_LEN];
	size_t len = strlen(function);

	if (!start || at < start || at - start > REACH)
		return false;
	sprint_symbol(name, (unsigned long)at);
	return !strncmp(name, function, len) && name[len] == '+';
}

static bool none(struct rf_report *r, const char *kind, const char *function)
{
	rf_skip(r, "this kernel has no");
	rf_say(r, "%s in %s", kind, function);
	return false;
}

bool rf_jump_site(struct rf_report *r, const char *function, struct rf_jump_site *site)
{
	struct jump_entry *stop = rf_symbol("__stop___jump_table");
	const u8 *start = rf_symbol(function);

	for (struct jump_entry *e = rf_symbol("__start___jump_table"); e && e < stop; e++) {
		u8 *at = (u8 *)jump_entry_code(e);

		if (!within(function, start, at) || memcmp(at, rf_nop, RF_INSN))
			continue;
		site->entry = e;
		rf_branch(site->jmp, JMP32_INSN_OPCODE, at, (void *)jump_entry_target(e));
		return rf_aim_at(r, function, at, RF_INSN);
	}
	return none(r, "jump label of 5 bytes", function);
}

bool rf_key_site(struct rf_report *r, const char *function, const struct static_key *key)
{
	struct jump_entry *stop = rf_symbol("__stop___jump_table");
	const u8 *start = rf_symbol(function);

	for (struct jump_entry *e = rf_symbol("__start___jump_table"); e && e < stop; e++) {
		u8 *at = (u8 *)jump_entry_code(e);

		if (jump_entry_key(e) != key || !within(function, start, at))
			continue;
		return rf_aim_at(
			r, function, at,
			at[0] == JMP32_INSN_OPCODE || !memcmp(at, rf_nop, RF_INSN) ? RF_INSN : 2);
	}
	return none(r, "jump label of the key", function);
}

bool rf_ftrace_site(struct rf_report *r, const char *function)
{
	u8 *start = rf_symbol(function);

	/* Behind an endbr64, where there is one. */
	for (unsigned int i = 0; start && i <= 4; i += 4)
		if (!memcmp(start + i, rf_nop, RF_INSN))
			return rf_aim_at(r, function, start + i, RF_INSN);
	return none(r, "ftrace site", function);
}

bool rf_call_site(struct rf_report *r, const char *function, const char *key)
{
	struct static_call_site *stop = rf_symbol("__stop_static_call_sites");
	const u8 *start = rf_symbol(function);
	long wanted = (long)rf_symbol(key);

	for (struct static_call_site *s = rf_symbol("__start_static_call_sites");
	     wanted && s && s < stop; s++) {
		u8 *at = (u8 *)&s->addr + s->addr;

		/* Flags in the low bits: neither a tail call nor init text. */
		if ((long)&s->key + s->key == wanted && within(function, start, at))
			return rf_aim_at(r, function, at, RF_INSN);
	}
	return none(r, "static call", function);
}

#define BUCKET_BITS 6 /* kernel/kprobes.c KPROBE_HASH_BITS */

bool rf_forge_kprobe(struct kprobe *probe, u8 *at, u8 own, kprobe_pre_handler_t handler)
{
	struct hlist_head *table = rf_symbol("kprobe_table");

	if (!table)
		return false;
	memset(probe, 0, sizeof(*probe));
	probe->addr = at;
	probe->opcode = own;
	probe->pre_handler = handler;
	INIT_LIST_HEAD(&probe->list);
	hlist_add_head_rcu(&probe->hlist, &table[hash_ptr(at, BUCKET_BITS)]);
	return true;
}

void rf_unforge_kprobe(struct kprobe *probe)
{
	hlist_del_rcu(&probe->hlist);
}

bool rf_forge_probe(struct optimized_kprobe *probe, u8 *at, const u8 *own, void *detour)
{
	void *aggregator = rf_symbol("aggr_pre_handler");

	if (!aggregator)
		return false;
	memset(probe, 0, sizeof(*probe));
	INIT_LIST_HEAD(&probe->list);
	memcpy(probe->optinsn.copied_insn, own + 1, sizeof(probe->optinsn.copied_insn));
	probe->optinsn.insn = detour;
	probe->optinsn.size = 16;
	return rf_forge_kprobe(&probe->kp, at, own[0], aggregator);
}

void rf_unforge_probe(struct optimized_kprobe *probe)
{
	rf_unforge_kprobe(&probe->kp);
}
