/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `ringfence check` has found, and how it is shown. */
#ifndef RF_CLI_CHECK_H
#define RF_CLI_CHECK_H

#include "cli/subject.h"
#include "introspection/checks/check.h"

struct rf_check_report {
	struct rf_check_result *results;   /* of each check that was asked for */
	struct rf_check_finding *findings; /* in their order */
	size_t result_count, finding_count, finding_room;
	uint64_t count[RF_CHECK_UNDECIDED + 1]; /* checks, by state */
	uint64_t found;				/* things */
};

/* RF_EXIT_OK or an error that has been told. */
int rf_check_show(const struct rf_subject *s, const struct rf_check_report *r);
int rf_check_show_json(const struct rf_subject *s, const struct rf_check_report *r,
		       const struct rf_known *known);
/* The checks themselves; each: count of them, or all where count is 0. */
int rf_check_show_list(const struct rf_check *const *each, size_t count, bool json);

#endif
