/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one piece of work may read of the guest, and the finding where that was not enough. */
#include <errno.h>
#include <stdio.h>

#include "monitor/monitor.h"

/*
 * Reads, as introspection/budget.h counts them: some five for each word that is looked up through
 * page tables. Each is several times what the largest guest of the tests needs (docs/testing.md).
 */
static const struct {
	uint64_t reads;
	const char *what;
} units[] = {
	[RF_UNIT_EVENT] = { 1 << 15, "judging an event" },
	[RF_UNIT_KERNEL] = { 1 << 20, "looking at a kernel" },
	[RF_UNIT_LISTS] = { 1 << 18, "walking lists of probes, trampolines and direct functions" },
	[RF_UNIT_TABLES] = { 1 << 16, "looking at descriptor tables" },
	[RF_UNIT_SEARCH] = { 1 << 14, "one step of a search" },
};

void rf_unit_memory(struct rf_guest *g)
{
	g->budget.to = (struct rf_memory){ rf_guest_read, g };
	g->mem = (struct rf_memory){ rf_budget_read, &g->budget };
	rf_budget_begin(&g->budget, 0);
}

struct rf_budget rf_unit_begin(struct rf_guest *g, enum rf_unit unit)
{
	struct rf_budget outer = g->budget;

	rf_budget_begin(&g->budget, units[unit].reads);
	return outer;
}

int rf_unit_end(struct rf_guest *g, enum rf_unit unit, const struct rf_budget *outer)
{
	const struct rf_facts facts = { .kind = RF_FACT_ENDLESS };
	struct rf_record r = { .kind = "endless", .outcome = "not read to its end" };
	bool spent = g->budget.spent, told = g->overran[unit];
	struct rf_decision d;
	char text[128];

	g->budget = *outer;
	g->overran[unit] = spent;
	if (!spent || told)
		return 0;
	if (rf_policy_decide(&g->policy, &facts, &d))
		return -EINVAL;
	r.rule = d.rule;
	r.verdict = d.word;
	snprintf(text, sizeof(text), "%s took more than %llu reads of guest memory",
		 units[unit].what, (unsigned long long)units[unit].reads);
	r.detail = text;
	return rf_record_write(g, &r);
}
