// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/budget.h"

#include <errno.h>

int rf_budget_read(void *budget, rf_gpa gpa, void *buf, size_t len)
{
	struct rf_budget *b = budget;
	uint64_t cost = 1 + len / RF_PAGE_SIZE;

	if (cost > b->left) {
		b->left = 0;
		b->spent = true;
		return -E2BIG;
	}
	b->left -= cost;
	if (!len) /* work that reads nothing, and is to be bounded all the same */
		return 0;
	return rf_memory_read(&b->to, gpa, buf, len);
}
