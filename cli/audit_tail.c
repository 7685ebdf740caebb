// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/audit_tail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit_follow.h"
#include "cli/audit_log.h"
#include "cli/audit_row.h"
#include "cli/output.h"

/* The last records seen, oldest first from `first`. */
struct last {
	json_t **items;
	uint32_t max, count, first;
	uint64_t fitting;
	bool begins; /* the file begins later than what was asked for: an earlier one has the rest
		      */
	const struct rf_tail *how;
};

static bool is_of_type(json_t *o, const char *type)
{
	return !strcmp(json_string_value(json_object_get(o, "type")) ?: "", type);
}

static bool is_told(json_t *o, bool all)
{
	const char *type = json_string_value(json_object_get(o, "type"));
	const char *status = json_string_value(json_object_get(o, "status"));

	if (all || !type)
		return true;
	if (strcmp(type, "outcome") != 0)
		return strcmp(type, "checkpoint") != 0;
	/* Only what went wrong: every decision has an outcome. */
	return !status || strcmp(status, "ok");
}

static bool shown(json_t *o, const struct rf_tail *how)
{
	return is_told(o, how->json) && rf_filter_lets(&how->filter, o);
}

static int keep(void *ctx, json_t *o)
{
	struct last *l = ctx;
	uint32_t slot;

	if (is_of_type(o, "continued"))
		l->begins = rf_filter_since(&l->how->filter, o);
	if (!l->max || !shown(o, l->how))
		return 0;
	l->fitting++;
	slot = (l->first + l->count) % l->max;
	if (l->count == l->max) {
		json_decref(l->items[slot]);
		l->first = (l->first + 1) % l->max;
	} else {
		l->count++;
	}
	l->items[slot] = json_incref(o);
	return 0;
}

static int print_json(json_t *o)
{
	if (json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) || putchar('\n') == EOF)
		return -EIO;
	return 0;
}

static int print_json_line(void *ctx, json_t *o)
{
	return shown(o, ctx) ? print_json(o) : 0;
}

/* Following, widths cannot be known beforehand: these fit most names. */
static int print_row(void *ctx, json_t *o)
{
	static const int widths[] = { 23, 6, 8, 9, 32, 28, 18, 0 };
	struct rf_row c;

	if (!shown(o, ctx))
		return 0;
	rf_row_fill(o, &c);
	for (int i = 0; i < RF_ROW_CELLS; i++) {
		char *text = rf_safe_dup(c.cell[i] ? c.cell[i] : "-");

		if (!text)
			return -ENOMEM;
		printf("%-*s%s", widths[i], text, i < RF_ROW_CELLS - 1 ? "  " : "\n");
		free(text);
	}
	return ferror(stdout) ? -EIO : 0;
}

static int print_last(const struct last *l)
{
	static const char *const titles[] = { "TIME",	"EVENT",	  "VERDICT", "KIND",
					      "TARGET", "WRITER/HANDLER", "TASK",    "RULE" };
	bool json = l->how->json;
	struct rf_listing *t = json ? NULL : rf_listing_create(titles, RF_ROW_CELLS);
	int err = 0;

	if (!json && !t)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->count && !err; i++) {
		json_t *o = l->items[(l->first + i) % l->max];
		struct rf_row c;

		if (json) {
			err = print_json(o);
		} else {
			rf_row_fill(o, &c);
			err = rf_listing_row(t, c.cell);
		}
	}
	if (t)
		rf_listing_print(t);
	rf_listing_destroy(t);
	return err;
}

static int show(const char *path, struct last *last)
{
	bool following = last->how->following, lost = false;
	struct rf_follow follow;
	struct rf_log log;
	int err;

	err = rf_log_open(path, last->how->owner, &log);
	if (err)
		return rf_fail(RF_EXIT_NOT_FOUND, "no decision can be shown",
			       "give a VM's name (see `ringfence list`) or the path of a log",
			       "cannot read the log %s: %s", path, rf_log_problem(err));
	/* "None" must mean that there is none. */
	if (last->how->filter.since)
		rf_log_whole(&log);
	if (following)
		rf_follow_begin(&follow, &log);
	err = rf_log_read(&log, keep, last);
	if (!err && !following)
		err = rf_log_finish(&log, keep, last);
	if (!err)
		err = print_last(last);
	if (!err && last->how->filter.since && last->begins)
		rf_say("%s goes on from an earlier file, which may have more since then", path);
	if (!err && last->how->filter.since && last->fitting > last->max)
		rf_say("the last %u of %llu records that fit are shown", last->max,
		       (unsigned long long)last->fitting);
	if (!err && log.unreadable)
		rf_say("%llu lines of %s are not records: torn by a crash or a full disk, or "
		       "foreign",
		       (unsigned long long)log.unreadable, path);
	if (!err && following)
		err = rf_audit_follow(&follow, last->how->json ? print_json_line : print_row,
				      (void *)(uintptr_t)last->how);
	if (following)
		lost = rf_follow_end(&follow);
	rf_log_close(&log);
	if (err)
		return rf_fail(RF_EXIT_INTERNAL, "what was printed is not complete", "run it again",
			       "reading %s stopped: %s", path, strerror(-err));
	return rf_flush() ?: lost ? RF_EXIT_NO : RF_EXIT_OK;
}

int rf_audit_tail_of(const char *path, const struct rf_tail *how)
{
	struct last last = { .max = how->max, .how = how };
	int code;

	last.items = calloc(last.max ? last.max : 1, sizeof(json_t *));
	if (!last.items)
		return rf_fail(RF_EXIT_INTERNAL, "nothing was shown", "ask for fewer lines",
			       "no memory for %u records", last.max);
	code = show(path, &last);
	for (uint32_t i = 0; i < last.count; i++)
		json_decref(last.items[i]);
	free(last.items);
	return code;
}
