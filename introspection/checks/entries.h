/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* First instructions of the kernel's functions. */
#ifndef RF_INTROSPECTION_CHECKS_ENTRIES_H
#define RF_INTROSPECTION_CHECKS_ENTRIES_H

#include "introspection/checks/inside.h"

/* Looks at each, and tells those that lead out of the text to what no list of hooks has. 0, or as
 * inside.h has it. */
int rf_run_entries(struct rf_run *run);

#endif
