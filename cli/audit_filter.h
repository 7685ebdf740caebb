/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which records `audit tail` shows: those that fit each kind of word that was given, by any of
 * it. */
#ifndef RF_CLI_AUDIT_FILTER_H
#define RF_CLI_AUDIT_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "cli/options.h"

struct rf_filter {
	const char *since; /* as it was typed, NULL any */
	uint64_t since_ns; /* CLOCK_REALTIME; of rf_filter_ready() */
	struct rf_option_list verdicts, rules, symbols;
	bool alerts; /* none but what is an alert to `audit export` */
};

bool rf_filter_any(const struct rf_filter *f);
/* Looks whether the words are words. RF_EXIT_OK, or the code of the error that was reported. */
int rf_filter_ready(struct rf_filter *f);
/* Is the record no older than what was asked for, or was nothing? One that does not say when is
 * not. */
bool rf_filter_since(const struct rf_filter *f, const json_t *record);
/* What does not say when, by which rule, or whom it was about, fits none that was asked for. */
bool rf_filter_lets(const struct rf_filter *f, const json_t *record);

#endif
