/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `audit tail`: the last records of a log. */
#ifndef RF_CLI_AUDIT_TAIL_H
#define RF_CLI_AUDIT_TAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/audit_filter.h"

struct rf_tail {
	uint32_t max; /* records */
	uid_t owner;  /* that the log is to be of */
	bool following, json;
	struct rf_filter filter;
};

/* The code to exit with. */
int rf_audit_tail_of(const char *path, const struct rf_tail *how);

#endif
