/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VM is called: in its folder's name, in each line of its log, in each answer about it. */
#ifndef RF_POLICY_NAME_H
#define RF_POLICY_NAME_H

#include <stdbool.h>

#define RF_NAME_MAX 64

/* Letters, digits, '_', '-' and '.', not starting with '.' or '-', at most RF_NAME_MAX bytes. */
bool rf_name_valid(const char *name);

#endif
