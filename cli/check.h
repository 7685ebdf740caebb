/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `ringfence check` has found, and `ringfence hooks` has seen, and how it is shown. */
#ifndef RF_CLI_CHECK_H
#define RF_CLI_CHECK_H

#include "cli/code.h"
#include "cli/subject.h"
#include "introspection/checks/check.h"

struct rf_check_report {
	struct rf_check_result *results;   /* of each check that was asked for */
	struct rf_check_finding *findings; /* in their order */
	size_t result_count, finding_count, finding_room;
	uint64_t count[RF_CHECK_UNDECIDED + 1]; /* checks, by state */
	uint64_t found;				/* things */
	uint64_t left_out;			/* of findings: there were too many */
	struct {
		size_t count;
		uint64_t left_out;
	} begin; /* as it was when the check that runs began */
};

/* --- check_run.c ---------------------------------------------------------------------- */

/* Those that are named, or without names all that fit (NULL: all); NULL behind the last, free() it.
 * NULL: *code, and it has been told. */
typedef bool (*rf_check_fits_fn)(const struct rf_check *check);
const struct rf_check **rf_check_chosen(char **names, int count, rf_check_fits_fn fits, int *code);
/* rf_checks_run() or rf_checks_list(). */
typedef int (*rf_check_run_fn)(struct rf_checks *c, const struct rf_check *check,
			       rf_check_finding_fn fn, void *ctx, struct rf_check_result *result);
/* RF_EXIT_OK or the code of an error that has been told; *out is to be deinited in either case. */
int rf_check_report_make(const struct rf_subject *s, const struct rf_check **each,
			 rf_check_run_fn run, const struct rf_known *known,
			 struct rf_check_report *out);
void rf_check_report_deinit(struct rf_check_report *r);
/* RF_EXIT_OK: all clean; RF_EXIT_NO: something was found; RF_EXIT_CANNOT_TELL. */
int rf_check_report_judge(const struct rf_check_report *r);

/* --- check_show.c --------------------------------------------------------------------- */

/* RF_EXIT_OK or an error that has been told. */
int rf_check_show(const struct rf_subject *s, const struct rf_check_report *r);
int rf_check_show_json(const struct rf_subject *s, const struct rf_check_report *r,
		       const struct rf_known *known);
/* Of one of them: "module evil evil_hook+0x4", NULL without a target; "64-bit system call
 * (sys_call_table+0x1f0)"; all of it (d may be NULL: without its code). */
#define RF_FINDING_TEXT 320
const char *rf_check_leads_to(const struct rf_check_finding *f, char out[RF_FINDING_TEXT]);
const char *rf_check_what(const struct rf_subject *s, const struct rf_check_finding *f,
			  char out[RF_FINDING_TEXT]);
json_t *rf_check_finding_json(const struct rf_subject *s, struct rf_disasm *d,
			      const struct rf_check_finding *f);
/* Below the table: how many checks were clean, what findings mean, why others are not clean. */
void rf_check_print_summary(const struct rf_check_report *r);
/* The same for JSON: counts, and each check's result. */
void rf_check_add_summary(json_t *o, const struct rf_check_report *r, const struct rf_known *known);
/* The checks themselves; each: count of them, or all where count is 0. */
int rf_check_show_list(const struct rf_check *const *each, size_t count, bool json);

#endif
