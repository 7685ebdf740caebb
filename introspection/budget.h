/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bound on what one unit of work reads of a guest. Lists in guest memory need not end, and bounds
 * of single loops multiply: whoever walks them reads through one of these, and stops where it does.
 */
#ifndef RF_INTROSPECTION_BUDGET_H
#define RF_INTROSPECTION_BUDGET_H

#include "introspection/memory.h"

struct rf_budget {
	struct rf_memory to; /* what is read */
	uint64_t left;	/* of the unit: one for each call, and one for each whole page it reads */
	uint64_t given; /* with which the unit began */
	bool spent;	/* a read of this unit was refused */
};

/* A unit of work begins. */
static inline void rf_budget_begin(struct rf_budget *b, uint64_t reads)
{
	b->left = b->given = reads;
	b->spent = false;
}

/* rf_memory's read; ctx is the budget. Of no bytes it costs one read. Also -E2BIG: it is spent, and
 * so is every later read's. */
int rf_budget_read(void *budget, rf_gpa gpa, void *buf, size_t len);

#endif
