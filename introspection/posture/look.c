// SPDX-License-Identifier: LGPL-2.1-or-later
/* One row: its readings, and what becomes of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/posture/impl.h"

const char *rf_posture_state_text(enum rf_posture_state state)
{
	static const char *const texts[] = { [RF_POSTURE_GOOD] = "good",
					     [RF_POSTURE_WEAK] = "weak",
					     [RF_POSTURE_UNKNOWN] = "unknown" };

	return texts[state];
}

const struct rf_posture_row *rf_posture_row(size_t i)
{
	static const struct rf_posture_row *const subjects[] = {
		rf_posture_image,
		rf_posture_memory,
		rf_posture_use,
	};

	for (size_t s = 0; s < sizeof(subjects) / sizeof(subjects[0]); s++)
		for (const struct rf_posture_row *row = subjects[s]; row->name; row++)
			if (!i--)
				return row;
	return NULL;
}

const char *rf_posture_name(const struct rf_posture_row *row)
{
	return row->name;
}

const char *rf_posture_wanted(const struct rf_posture_row *row)
{
	return row->wanted;
}

const char *rf_posture_set(const struct rf_posture_row *row)
{
	return row->set;
}

const char *rf_posture_why(const struct rf_posture_row *row)
{
	return row->why;
}

int rf_posture_create(struct rf_checks *c, const struct rf_posture_cpu *cpus, size_t count,
		      struct rf_posture **out)
{
	struct rf_posture *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->c = c;
	p->cpus = cpus;
	p->cpu_count = count;
	rf_posture_take_config(p);
	*out = p;
	return 0;
}

void rf_posture_destroy(struct rf_posture *p)
{
	if (!p)
		return;
	free(p->config);
	free(p);
}

/* --- one reading -------------------------------------------------------------------------- */

/* In a look: also that a reading had nothing to say. */
#define PASSED 0

static int wanted_value(struct rf_look *l, const struct rf_reading *r, int64_t *out)
{
	if (!r->enumerator) {
		*out = r->value;
		return 0;
	}
	if (!rf_kernel_enumerator(rf_run_kernel(l->run), NULL, r->enumerator, out))
		return 0;
	return rf_run_lacks(l->run, "the kernel's types do not say what %s is", r->enumerator);
}

static bool is_wanted(const struct rf_reading *r, int64_t value, int64_t wanted)
{
	switch (r->wanted) {
	case RF_IS_NOT:
		return value != wanted;
	case RF_AT_LEAST:
		return value >= wanted;
	case RF_IS:
		break;
	}
	return value == wanted;
}

/* A state, PASSED, or an error of inside.h. */
static int judge_absent(struct rf_look *l, const struct rf_reading *r, struct rf_answer *a)
{
	static const int states[] = { [RF_ABSENT_WEAK] = RF_POSTURE_WEAK,
				      [RF_ABSENT_GOOD] = RF_POSTURE_GOOD,
				      [RF_ABSENT_PASS] = PASSED };

	if (r->absent == RF_ABSENT_UNKNOWN)
		return -ENOTSUP; /* the reading has said what it lacks */
	if (r->absent == RF_ABSENT_GOOD && rf_posture_absent(l, r))
		return -ENOTSUP;
	snprintf(a->text, sizeof(a->text), "%s", r->missing ? r->missing : "not built in");
	snprintf(a->by, sizeof(a->by), "no %.60s", r->name);
	return states[r->absent];
}

static int judge(struct rf_look *l, const struct rf_reading *r, struct rf_answer *a)
{
	int64_t wanted;
	int err;

	*a = (struct rf_answer){ 0 };
	err = r->read(l, r, a);
	if (err == -ENOENT)
		return judge_absent(l, r, a);
	if (!err)
		err = wanted_value(l, r, &wanted);
	if (err)
		return err;
	return is_wanted(r, a->value, wanted) ? RF_POSTURE_GOOD : RF_POSTURE_WEAK;
}

/* --- all of a row ------------------------------------------------------------------------- */

struct asked {
	const struct rf_posture *p;
	const struct rf_posture_row *row;
	struct rf_posture_fact *out;
};

static void take(struct rf_posture_fact *out, enum rf_posture_state state,
		 const struct rf_answer *a)
{
	out->state = state;
	snprintf(out->found, sizeof(out->found), "%s", a->text);
	snprintf(out->by, sizeof(out->by), "%s", a->by);
}

/* The state by which the other readings do not count any more. */
static bool is_decided(enum rf_combine combine, int state)
{
	return state > PASSED &&
	       (combine == RF_FIRST || (combine == RF_ANY && state == RF_POSTURE_GOOD) ||
		(combine == RF_ALL && state == RF_POSTURE_WEAK));
}

/* What could not be read might have decided: it is unknown then. */
static int look_at_row(struct rf_run *run, void *ctx)
{
	const struct asked *asked = ctx;
	const struct rf_posture_row *row = asked->row;
	struct rf_look l = { run, asked->p };
	struct rf_posture_fact *out = asked->out;
	char lacks[sizeof(run->lacks)] = "";
	int err = 0;

	*out = (struct rf_posture_fact){ 0 };
	for (size_t i = 0; i < sizeof(row->readings) / sizeof(row->readings[0]); i++) {
		const struct rf_reading *r = &row->readings[i];
		struct rf_answer a;
		int state;

		if (!r->read)
			break;
		state = judge(&l, r, &a);
		if (state > PASSED && (!out->state || is_decided(row->combine, state)))
			take(out, (enum rf_posture_state)state, &a);
		if (is_decided(row->combine, state))
			return 0;
		if (state < PASSED) {
			err = state;
			memcpy(lacks, run->lacks, sizeof(lacks));
			if (row->combine == RF_FIRST)
				break;
		}
	}
	if (err) /* and not what a reading lacked that only passed */
		memcpy(run->lacks, lacks, sizeof(lacks));
	else if (!out->state)
		err = -ENOTSUP; /* what the last one lacked has been said */
	return err;
}

void rf_posture_look(struct rf_posture *p, const struct rf_posture_row *row,
		     struct rf_posture_fact *out)
{
	struct asked asked = { p, row, out };
	char why[RF_WHY] = "";
	int err = rf_checks_ask(p->c, row->reads ? row->reads : RF_POSTURE_READS, look_at_row,
				&asked, why);

	if (!err)
		return;
	*out = (struct rf_posture_fact){ .state = RF_POSTURE_UNKNOWN };
	snprintf(out->unknown, sizeof(out->unknown), "%s", *why ? why : "this kernel does not say");
}
