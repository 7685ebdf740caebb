// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/audit_row.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/audit_text.h"
#include "policy/audit.h"

static const char *text_of(json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text && *text ? text : NULL;
}

/* What was counted instead of written. */
static const char *describe_count(json_t *o, const char *type, struct rf_row *c)
{
	json_int_t count = json_integer_value(json_object_get(o, "count"));
	json_int_t failed = json_integer_value(json_object_get(o, "failed"));
	const char *rule = text_of(o, "rule"), *first = text_of(o, "first");

	if (!strcmp(type, "folded"))
		snprintf(c->about, sizeof(c->about), "%s: %lld more since %.23s, of %s%s%.0lld%s",
			 rule ? rule : "-", (long long)count, first ? first : "-",
			 text_of(o, "of") ? text_of(o, "of") : "-", failed ? "; " : "",
			 (long long)failed, failed ? " not carried out" : "");
	else
		snprintf(c->about, sizeof(c->about),
			 "the log took nothing since %.23s (%s): %lld decisions were counted only, "
			 "%lld other lines are lost",
			 text_of(o, "since") ? text_of(o, "since") : "-",
			 text_of(o, "cause") ? text_of(o, "cause") : "-",
			 (long long)json_integer_value(json_object_get(o, "decisions")),
			 (long long)json_integer_value(json_object_get(o, "lines_lost")));
	return c->about;
}

/* Kinds of which the rule does not say enough: which register, whose handler, which kernel. */
static bool needs_detail(const char *kind)
{
	static const char *const kinds[] = { "hook",  "check", "msr",  "control-register",
					     "table", "dma",   "kexec" };

	for (size_t i = 0; kind && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

/* And whether the VM was ended for it, or it stands though it is told. */
static const char *describe_decision(json_t *o, const char *rule, struct rf_row *c)
{
	const char *outcome = text_of(o, "outcome"), *verdict = text_of(o, "verdict");
	const char *detail = needs_detail(text_of(o, "kind")) ? text_of(o, "detail") : NULL;
	bool ended = outcome && !strcmp(outcome, RF_OUTCOME_ENDED);
	bool applied = outcome && !strcmp(outcome, "applied") && verdict &&
		       strcmp(verdict, rf_word_text(RF_WORD_ALLOWED)) != 0;

	snprintf(c->about, sizeof(c->about), "%s%s%s%s", rule,
		 ended	   ? "; " RF_OUTCOME_ENDED
		 : applied ? "; applied"
			   : "",
		 detail ? ": " : "", detail ? detail : "");
	return c->about;
}

void rf_row_fill(json_t *o, struct rf_row *c)
{
	json_t *task = json_object_get(o, "task"), *event = json_object_get(o, "event");
	const char *time = text_of(o, "time"), *type = text_of(o, "type");
	bool outcome = type && !strcmp(type, "outcome");
	bool other = type && !outcome && strcmp(type, "decision"); /* a gap, an end */
	const char *about = text_of(o, "rule");

	/* Date and milliseconds: nanoseconds are for machines. */
	snprintf(c->time, sizeof(c->time), "%.23s", time ? time : "-");
	snprintf(c->event, sizeof(c->event), "%lld", (long long)json_integer_value(event));
	rf_place_text(json_object_get(o, "target"), c->target, sizeof(c->target));
	rf_place_text(json_object_get(o, json_object_get(o, "handler") ? "handler" : "writer"),
		      c->writer, sizeof(c->writer));
	snprintf(c->task, sizeof(c->task), "%s(%lld)",
		 text_of(task, "comm") ? text_of(task, "comm") : "",
		 (long long)json_integer_value(json_object_get(task, "pid")));
	if (type && (!strcmp(type, "folded") || !strcmp(type, "unwritten"))) {
		about = describe_count(o, type, c);
	} else if (about && !outcome) {
		about = describe_decision(o, about, c);
	} else if (!about && outcome) {
		about = text_of(o, "status");
	} else if (!about) {
		const char *what = text_of(o, "outcome"), *detail = text_of(o, "detail");

		snprintf(c->about, sizeof(c->about), "%s%s%s", what ? what : "",
			 what && detail ? ": " : "", detail ? detail : "");
		about = *c->about ? c->about : NULL;
	}
	c->cell[0] = c->time;
	c->cell[1] = event ? c->event : NULL;
	c->cell[2] = outcome				  ? "outcome"
		     : type && !strcmp(type, "unwritten") ? "unwritten"
							  : text_of(o, "verdict");
	c->cell[3] = other && !text_of(o, "kind") ? type : text_of(o, "kind");
	c->cell[4] = json_object_get(o, "target") ? c->target : text_of(o, "region");
	c->cell[5] = c->writer;
	c->cell[6] = task ? c->task : NULL;
	c->cell[7] = about;
}
