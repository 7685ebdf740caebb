// SPDX-License-Identifier: GPL-2.0-only
/*
 * One store over the border between a sealed page and a page of our own, mapped side by side for that: sealed first
 * (out), and sealed second (in). What became of our own half is reported: a processor would change neither.
 */
#include <linux/gfp.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "attacks.h"

#define HALF 4

static void cross(struct rf_report *r, bool sealed_first)
{
	u8 *border = rf_quiet_page(r), *map, *own_half;
	struct page *own, *pages[2];
	unsigned long faulted = 1;
	u64 value = 0;

	if (!border || !rf_aim_at(r, "__start_BTF", sealed_first ? border - HALF : border, HALF))
		return;
	own = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!own)
		return rf_skip(r, "no memory");
	pages[0] = sealed_first ? rf_page(r->at) : own;
	pages[1] = sealed_first ? own : rf_page(r->at);
	map = vmap(pages, 2, VM_MAP, PAGE_KERNEL);
	if (!map) {
		__free_page(own);
		return rf_skip(r, "vmap failed");
	}
	own_half = map + PAGE_SIZE - (sealed_first ? 0 : HALF);
	memcpy(&value, map + PAGE_SIZE - HALF, sizeof(value));
	value = ~value;
	rf_guard_begin();
	asm volatile(RF_STORE("movq %[v], (%[p])")
		     : [f] "+r"(faulted) : [v] "r"(value), [p] "r"(map + PAGE_SIZE - HALF) : "memory", "cc");
	if (rf_guard_end())
		rf_say(r, "stuck=yes");
	rf_say(r, "own_half=%s", memchr_inv(own_half, 0, HALF) ? "committed" : "unchanged");
	rf_judge(r, faulted);
	vunmap(map);
	__free_page(own);
}

void attack_cross_out(struct rf_report *r)
{
	cross(r, true);
}

void attack_cross_in(struct rf_report *r)
{
	cross(r, false);
}
