// SPDX-License-Identifier: LGPL-2.1-or-later
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

/* Where it leads, if that is not where it may. Read through the image, not through page tables that
 * the guest may change. */
static bool is_bad(struct rf_guest *g, rf_gva *at, uint64_t *function)
{
	rf_gpa where;

	return g->regions_count && !rf_kernel_address(g->kernel, "pm_power_off", at) &&
	       !rf_kernel_image_gpa(g->kernel, *at, &where) &&
	       !rf_memory_read(&g->mem, where, function, sizeof(*function)) && *function &&
	       !in_text(g, *function);
}

extern const struct rf_guard rf_guard_example; /* a row of RF_GUARDS does that */

/* In the sweeper: says that there is something, or is no more. */
static int sweep(struct rf_guest *g, uint32_t elapsed_ms)
{
	static bool said;
	uint64_t function = 0;
	rf_gva at;
	bool bad = is_bad(g, &at, &function);

	if (!bad && !said)
		return 0;
	said = bad;
	return rf_tell(g, &rf_guard_example, 0, &function, 1);
}

/* In the monitor, which looks for itself. */
static int found(struct rf_guest *g, uint32_t kind, const uint64_t *values, size_t n)
{
	uint64_t function;
	rf_gva at;
	bool bad = is_bad(g, &at, &function);
	int err = bad && !told ? tell(g, at.v, function) : 0;

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
	.sweep_unit = { 1 << 10, "looking at pm_power_off" },
	.sweep = sweep,
	.found = found,
};
