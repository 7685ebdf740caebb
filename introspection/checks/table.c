// SPDX-License-Identifier: LGPL-2.1-or-later
/* The families of checks, in the order in which they are run and shown. */
#include <stddef.h>

#include "introspection/checks/families.h"

#define ROW(name) &rf_check_##name,
const struct rf_check *const rf_checks[] = { RF_CHECKS(ROW) NULL };
