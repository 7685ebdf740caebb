// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which checks are run: not those that are off, nor those that a guard stands in for. */
#include <string.h>

#include "monitor/checks.h"

const struct rf_guard *rf_checks_guard(const struct rf_guest *g, const struct rf_check *check)
{
	static const struct rf_guard *const guards[] = { &rf_guard_hooks, &rf_guard_tables };

	for (size_t i = 0; check->guard && i < sizeof(guards) / sizeof(guards[0]); i++) {
		const char *lacks = guards[i]->lacks(g);

		if (!strcmp(guards[i]->name, check->guard))
			return lacks && strncmp(lacks, "on,", 3) != 0 ? NULL : guards[i];
	}
	return NULL;
}

bool rf_checks_is_off(const struct rf_guest *g, const struct rf_check *check)
{
	return rf_names_has(&g->policy.checks_off, check->name);
}

bool rf_checks_runs(const struct rf_guest *g, const struct rf_check *check)
{
	return !rf_checks_is_off(g, check) && !rf_checks_guard(g, check);
}
