/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guard to learn from (docs/hacking.md): pm_power_off, in plain data, is a function that the
 * kernel calls when it goes down (arch/x86/kernel/reboot.c). It is none or one of the kernel's own;
 * once a second that is looked at. What it may be follows from sealed memory alone, so there is
 * nothing to remember, and nothing that somebody could have changed before this monitor came.
 */
#include <errno.h>
#include <stdio.h>

#include "monitor/guard.h"
#include "monitor/monitor.h"

#define PERIOD_MS 1000

static bool told; /* one VM a process */

static bool in_text(const struct rf_guest *g, uint64_t gva)
{
	for (uint32_t i = 0; i < g->regions_count; i++) {
		const struct rf_region *r = &g->regions[i].region;

		if (r->kind == RF_REGION_TEXT && gva - r->gva < r->size)
			return true;
	}
	return false;
}

/* Record, once until it is right again. */
static int tell(struct rf_guest *g, uint64_t at, uint64_t function)
{
	const struct rf_facts facts = { .kind = RF_FACT_ENTRY, .table = RF_FACT_TABLE_FORGED };
	struct rf_record r = { .kind = "example",
			       .has_target = true,
			       .outcome = "found, left as it is" };
	struct rf_decision d;
	char detail[64];

	if (rf_policy_decide(&g->policy, &facts, &d))
		return -EINVAL;
	snprintf(detail, sizeof(detail), "it leads to 0x%llx, outside of the kernel's text",
		 (unsigned long long)function);
	rf_name_address(g, &g->paging, at, &r.target);
	r.rule = d.rule;
	r.verdict = d.word;
	r.detail = detail;
	return rf_record_write(g, &r);
}

static int tick(struct rf_guest *g, uint32_t elapsed_ms)
{
	uint64_t function;
	bool bad;
	rf_gpa where;
	rf_gva at;
	int err = 0;

	/* Nothing is sealed yet; else it is read through the image, not through page tables that the guest may change. */
	if (!g->regions_count || rf_kernel_address(g->kernel, "pm_power_off", &at) ||
	    rf_kernel_image_gpa(g->kernel, at, &where) ||
	    rf_memory_read(&g->mem, where, &function, sizeof(function)))
		return 0;
	bad = function && !in_text(g, function);
	if (bad && !told)
		err = tell(g, at.v, function);
	told = bad;
	return err;
}

static void forget(struct rf_guest *g)
{
	told = false;
}

static uint32_t period_ms(const struct rf_guest *g)
{
	return PERIOD_MS;
}

static const char *lacks(const struct rf_guest *g)
{
	rf_gva at;

	return g->kernel && !rf_kernel_address(g->kernel, "pm_power_off", &at)
		       ? NULL
		       : "this kernel has no pm_power_off";
}

const struct rf_guard rf_guard_example = {
	.name = "example",
	.lacks = lacks,
	.forget = forget,
	.period_ms = period_ms,
	.tick_unit = { 1 << 10, "looking at pm_power_off" },
	.tick = tick,
};
