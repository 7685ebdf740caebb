// SPDX-License-Identifier: LGPL-2.1-or-later
/* What one piece of work may read of the guest, and the finding where that was not enough. */
#include <errno.h>
#include <stdio.h>

#include "monitor/monitor.h"

void rf_unit_memory(struct rf_guest *g)
{
	g->budget.to = (struct rf_memory){ rf_guest_read, g };
	g->mem = (struct rf_memory){ rf_budget_read, &g->budget };
	rf_budget_begin(&g->budget, 0);
}

struct rf_budget rf_unit_begin(struct rf_guest *g, const struct rf_unit *unit)
{
	struct rf_budget outer = g->budget;

	rf_budget_begin(&g->budget, unit->reads);
	return outer;
}

/* Where it stands among those that overran, or the first free place; RF_OVERRAN_MAX: none is. */
static size_t place_of(const struct rf_guest *g, const struct rf_unit *unit)
{
	size_t free = RF_OVERRAN_MAX;

	for (size_t i = RF_OVERRAN_MAX; i--;) {
		if (g->overran[i] == unit)
			return i;
		if (!g->overran[i])
			free = i;
	}
	return free;
}

bool rf_unit_overran(const struct rf_guest *g, const struct rf_unit *unit)
{
	size_t at = place_of(g, unit);

	return at < RF_OVERRAN_MAX && g->overran[at];
}

int rf_unit_endless(struct rf_guest *g, const struct rf_unit *unit)
{
	const struct rf_facts facts = { .kind = RF_FACT_ENDLESS };
	struct rf_record r = { .kind = "endless", .outcome = "not read to its end" };
	struct rf_decision d;
	char text[128];

	if (rf_policy_decide(&g->policy, &facts, &d))
		return -EINVAL;
	r.rule = d.rule;
	r.verdict = d.word;
	snprintf(text, sizeof(text), "%s took more than %llu reads of guest memory", unit->what,
		 (unsigned long long)unit->reads);
	r.detail = text;
	return rf_record_write(g, &r);
}

struct rf_budget rf_part_begin(struct rf_guest *g, uint64_t reads)
{
	struct rf_budget outer = g->budget;

	rf_budget_begin(&g->budget, reads < outer.left ? reads : outer.left);
	return outer;
}

uint64_t rf_part_end(struct rf_guest *g, const struct rf_budget *outer)
{
	uint64_t used = g->budget.given - g->budget.left;

	g->budget = *outer;
	g->budget.left -= used;
	return used;
}

int rf_unit_end(struct rf_guest *g, const struct rf_unit *unit, const struct rf_budget *outer)
{
	bool spent = g->budget.spent, told = rf_unit_overran(g, unit);
	size_t at = place_of(g, unit);

	g->budget = *outer;
	if (at < RF_OVERRAN_MAX)
		g->overran[at] = spent ? unit : NULL;
	if (!spent || told)
		return 0;
	return g->pair.sweeper ? rf_tell_endless(g, unit) : rf_unit_endless(g, unit);
}
