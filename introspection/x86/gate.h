/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where an interrupt leads, by a table whose kernel is not known yet. Intel SDM vol. 3A 6.14.1. */
#ifndef RF_INTROSPECTION_GATE_H
#define RF_INTROSPECTION_GATE_H

#include "introspection/x86/pagetable.h"

/*
 * The handler of a vector, out of the descriptor table at `table` (IDTR's base). 0, -ENOENT (no
 * interrupt gate is there), or as rf_pt_read().
 */
int rf_gate_target(const struct rf_memory *m, const struct rf_paging *p, rf_gva table,
		   uint8_t vector, rf_gva *out);

#endif
