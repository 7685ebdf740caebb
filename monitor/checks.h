/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two ends of the guard of checks share: checks.c runs them, checks_told.c writes down. */
#ifndef RF_MONITOR_CHECKS_H
#define RF_MONITOR_CHECKS_H

#include "introspection/checks/check.h"
#include "monitor/monitor.h"

#define RF_CHECKS_MAX 128u /* checks */

/* Kinds of what the sweeper tells: one of these, and the check's place in rf_checks[]. */
enum rf_checks_said {
	RF_CHECKS_FOUND = 0x100,  /* struct rf_check_words: a finding */
	RF_CHECKS_GONE = 0x200,	  /* the same: it is there no more */
	RF_CHECKS_UNABLE = 0x300, /* the same, texts alone: it is undecided, again and again */
	RF_CHECKS_SAID_MASK = ~0xff,
};

/* As it goes in one packet. The texts end in a 0 and are the sweeper's word. */
struct rf_check_words {
	uint64_t object, target;
	char what[96], reason[112];
};
#define RF_CHECK_VALUES (sizeof(struct rf_check_words) / sizeof(uint64_t))
_Static_assert(RF_CHECK_VALUES <= RF_FOUND_VALUES, "one packet");
_Static_assert(RF_CHECKS_MAX <= 0x100, "a check's place");

/* --- checks_told.c: but for the first, in the monitor ------------------------------ */
/* Is it the same thing? */
bool rf_check_words_same(const struct rf_check_words *a, const struct rf_check_words *b);
void rf_checks_begin(void);
int rf_checks_said(struct rf_guest *g, uint32_t kind, const uint64_t *values, size_t n);
/* Asks `run` for what the policy wants of what was found, until it has taken it. */
void rf_checks_ask_run(struct rf_guest *g);

/* --- checks_which.c --- */
/* The guard that looks for the same in this guest; NULL: the check has to. One that is on says
 * nothing, or what it is on without. */
const struct rf_guard *rf_checks_guard(const struct rf_guest *g, const struct rf_check *check);
bool rf_checks_is_off(const struct rf_guest *g, const struct rf_check *check);
/* Is it run at all: neither off, nor a guard's that is on? */
bool rf_checks_runs(const struct rf_guest *g, const struct rf_check *check);

#endif
