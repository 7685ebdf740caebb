// SPDX-License-Identifier: LGPL-2.1-or-later
/* How posture is shown. */
#include <stdio.h>
#include <string.h>

#include "cli/check_posture.h"

static const char *found_of(const struct rf_posture_fact *f)
{
	return f->state == RF_POSTURE_UNKNOWN ? NULL : f->found;
}

static int print_table(const struct rf_posture_report *r)
{
	static const char *const titles[] = { "STATE", "NAME", "WANTED", "FOUND", "BY", "WHY" };
	struct rf_listing *t = rf_listing_create(titles, 6);
	int err = t ? 0 : -1;

	for (size_t i = 0; !err && i < r->count; i++) {
		const struct rf_posture_row *row = rf_posture_row(i);
		const struct rf_posture_fact *f = &r->facts[i];

		err = rf_listing_row(
			t, (const char *[]){ rf_posture_state_text(f->state), rf_posture_name(row),
					     rf_posture_wanted(row), found_of(f),
					     *f->by ? f->by : NULL, rf_posture_why(row) });
	}
	return rf_subject_table(t, err);
}

static void print_score(const struct rf_posture_report *r)
{
	size_t known = r->states[RF_POSTURE_GOOD] + r->states[RF_POSTURE_WEAK];

	printf("%zu of %zu good", r->states[RF_POSTURE_GOOD], known);
	if (r->states[RF_POSTURE_UNKNOWN])
		printf(", %zu more unknown", r->states[RF_POSTURE_UNKNOWN]);
	putchar('\n');
}

/* Of what is unknown: why. */
static void print_notes(const struct rf_posture_report *r)
{
	char why[RF_WHY];

	for (size_t i = 0; i < r->count; i++) {
		const struct rf_posture_row *row = rf_posture_row(i);
		const struct rf_posture_fact *f = &r->facts[i];

		rf_safe(why, sizeof(why), f->unknown);
		if (f->state == RF_POSTURE_UNKNOWN)
			printf("%s unknown: %s\n", rf_posture_name(row), why);
	}
}

/* --- JSON ------------------------------------------------------------------------------ */

static json_t *fact_json(const struct rf_posture_fact *f)
{
	return json_pack("{s:s,s:s,s:s,s:s}", "state", rf_posture_state_text(f->state), "found",
			 f->found, "by", f->by, "unknown", f->unknown);
}

static json_t *row_json(const struct rf_posture_row *row)
{
	return json_pack("{s:s,s:s,s:s,s:s}", "name", rf_posture_name(row), "wanted",
			 rf_posture_wanted(row), "why", rf_posture_why(row), "set_by",
			 rf_posture_set(row));
}

static json_t *report_json(const struct rf_posture_report *r)
{
	return json_pack("{s:s,s:s,s:s,s:I,s:I,s:I}", "file", r->name, "format", r->format,
			 "kernel", r->kernel, "good", (json_int_t)r->states[RF_POSTURE_GOOD],
			 "weak", (json_int_t)r->states[RF_POSTURE_WEAK], "unknown",
			 (json_int_t)r->states[RF_POSTURE_UNKNOWN]);
}

/* Texts of the guest's in it are made safe. */
static int print_safely(json_t *o)
{
	json_t *safe = rf_safe_json(o);

	json_decref(o);
	return rf_print_json(safe);
}

static int print_json(const struct rf_posture_report *r)
{
	json_t *o = report_json(r), *rows = json_array();

	for (size_t i = 0; i < r->count; i++) {
		json_t *row = row_json(rf_posture_row(i)), *fact = fact_json(&r->facts[i]);

		json_object_update(row, fact);
		json_decref(fact);
		json_array_append_new(rows, row);
	}
	json_object_set_new(o, "rows", rows);
	return print_safely(o);
}

int rf_posture_print(const struct rf_posture_report *r, bool json)
{
	int code;

	if (json)
		return print_json(r);
	code = print_table(r);
	if (code != RF_EXIT_OK)
		return code;
	putchar('\n');
	print_score(r);
	print_notes(r);
	if (r->states[RF_POSTURE_WEAK])
		printf("`ringfence check --list posture` says how each of them is set\n");
	return rf_flush();
}

/* --- two of them ------------------------------------------------------------------------ */

/* How it was found out, and why it was not, may differ. */
static bool is_same(const struct rf_posture_fact *a, const struct rf_posture_fact *b)
{
	return a->state == b->state && !strcmp(a->found, b->found);
}

/* "weak: off" */
static const char *cell(const struct rf_posture_fact *f, char out[100])
{
	snprintf(out, 100, "%s%s%s", rf_posture_state_text(f->state), *f->found ? ": " : "",
		 f->found);
	return out;
}

static int diff_json(const struct rf_posture_report *a, const struct rf_posture_report *b)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < a->count; i++) {
		json_t *row;

		if (is_same(&a->facts[i], &b->facts[i]))
			continue;
		row = row_json(rf_posture_row(i));
		json_object_set_new(row, "first", fact_json(&a->facts[i]));
		json_object_set_new(row, "second", fact_json(&b->facts[i]));
		json_array_append_new(rows, row);
	}
	return print_safely(json_pack("{s:o,s:o,s:I,s:o}", "first", report_json(a), "second",
				      report_json(b), "row_count", (json_int_t)a->count, "differ",
				      rows));
}

static int diff_table(const struct rf_posture_report *a, const struct rf_posture_report *b)
{
	const char *const titles[] = { "NAME", "WANTED", a->name, b->name };
	struct rf_listing *t = rf_listing_create(titles, 4);
	int err = t ? 0 : -1;

	for (size_t i = 0; !err && i < a->count; i++) {
		const struct rf_posture_row *row = rf_posture_row(i);
		char first[100], second[100];

		if (is_same(&a->facts[i], &b->facts[i]))
			continue;
		err = rf_listing_row(t,
				     (const char *[]){ rf_posture_name(row), rf_posture_wanted(row),
						       cell(&a->facts[i], first),
						       cell(&b->facts[i], second) });
	}
	return rf_subject_table(t, err);
}

int rf_posture_print_diff(const struct rf_posture_report *a, const struct rf_posture_report *b,
			  bool json, size_t *differ)
{
	int code = RF_EXIT_OK;

	for (size_t i = 0; i < a->count; i++)
		*differ += !is_same(&a->facts[i], &b->facts[i]);
	if (json)
		return diff_json(a, b);
	if (*differ) {
		code = diff_table(a, b);
		putchar('\n');
	}
	if (code != RF_EXIT_OK)
		return code;
	printf("%zu of %zu rows differ\n", *differ, a->count);
	printf("%s: ", a->name);
	print_score(a);
	printf("%s: ", b->name);
	print_score(b);
	return rf_flush();
}

/* --- the rows themselves ------------------------------------------------------------------ */

int rf_posture_print_rows(bool json)
{
	static const char *const titles[] = { "NAME", "WANTED", "SET BY", "WHY" };
	struct rf_listing *t = json ? NULL : rf_listing_create(titles, 4);
	const struct rf_posture_row *row;
	json_t *list = json ? json_array() : NULL;
	int err = t ? 0 : -1;

	for (size_t i = 0; (json || !err) && (row = rf_posture_row(i)); i++) {
		if (json)
			json_array_append_new(list, row_json(row));
		else
			err = rf_listing_row(
				t, (const char *[]){ rf_posture_name(row), rf_posture_wanted(row),
						     rf_posture_set(row), rf_posture_why(row) });
	}
	return json ? rf_print_json(list) : rf_subject_table(t, err);
}
