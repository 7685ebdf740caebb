// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check.h"
#include "cli/code.h"

const char *rf_check_leads_to(const struct rf_check_finding *f, char out[RF_FINDING_TEXT])
{
	if (!f->target.v)
		return NULL;
	if (*f->symbol)
		snprintf(out, RF_FINDING_TEXT, "%s %s", f->owner, f->symbol);
	else
		snprintf(out, RF_FINDING_TEXT, "%s %#llx", f->owner,
			 (unsigned long long)f->target.v);
	return out;
}

const char *rf_check_what(const struct rf_subject *s, const struct rf_check_finding *f,
			  char out[RF_FINDING_TEXT])
{
	char place[RF_PLACE_TEXT];

	rf_subject_place(s, f->object, place);
	snprintf(out, RF_FINDING_TEXT, "%s%s%s%s", f->what, *place ? " (" : "", place,
		 *place ? ")" : "");
	return out;
}

static int print_findings(const struct rf_subject *s, const struct rf_check_report *r)
{
	static const char *const titles[] = { "SEVERITY", "CHECK", "WHAT", "LEADS TO", "WHY" };
	struct rf_listing *t = rf_listing_create(titles, 5);
	int err = t ? 0 : -1;

	for (size_t i = 0; !err && i < r->finding_count; i++) {
		const struct rf_check_finding *f = &r->findings[i];
		char to[RF_FINDING_TEXT], what[RF_FINDING_TEXT];

		err = rf_listing_row(t, (const char *[]){ rf_severity_text(f->check->severity),
							  f->check->name, rf_check_what(s, f, what),
							  rf_check_leads_to(f, to), f->reason });
	}
	return rf_subject_table(t, err);
}

/* ", 2 could not run: a, b" */
static void print_names(const struct rf_check_report *r, enum rf_check_state state)
{
	const char *between = ": ";

	if (!r->count[state])
		return;
	printf(", %llu %s", (unsigned long long)r->count[state], rf_check_state_text(state));
	for (size_t i = 0; i < r->result_count; i++) {
		if (r->results[i].state != state)
			continue;
		printf("%s%s", between, r->results[i].check->name);
		between = ", ";
	}
}

static void print_counts(const struct rf_check_report *r)
{
	printf("%zu check%s: %llu clean", r->result_count, r->result_count == 1 ? "" : "s",
	       (unsigned long long)r->count[RF_CHECK_CLEAN]);
	if (r->count[RF_CHECK_FOUND])
		printf(", %llu found %llu", (unsigned long long)r->count[RF_CHECK_FOUND],
		       (unsigned long long)r->found);
	print_names(r, RF_CHECK_NOT_RUN);
	print_names(r, RF_CHECK_UNDECIDED);
	putchar('\n');
}

/* Of what was found: how to read it. Of what has a reason: that. */
static void print_notes(const struct rf_check_report *r)
{
	char why[RF_WHY];

	for (size_t i = 0; i < r->result_count; i++) {
		const struct rf_check_result *one = &r->results[i];

		if (one->state == RF_CHECK_FOUND)
			printf("%s: %s (ATT&CK %s)\n", one->check->name, one->check->reading,
			       one->check->attack);
		rf_safe(why, sizeof(why), one->why);
		if (*why)
			printf("%s%s%s: %s\n", one->check->name,
			       one->state == RF_CHECK_FOUND ? ", besides" : " ",
			       one->state == RF_CHECK_FOUND ? "" : rf_check_state_text(one->state),
			       why);
	}
}

void rf_check_print_summary(const struct rf_check_report *r)
{
	if (r->left_out)
		printf("%llu more are not shown: name single checks behind FILE\n",
		       (unsigned long long)r->left_out);
	print_counts(r);
	print_notes(r);
}

int rf_check_show(const struct rf_subject *s, const struct rf_check_report *r)
{
	int code = r->finding_count ? print_findings(s, r) : RF_EXIT_OK;

	if (code != RF_EXIT_OK)
		return code;
	if (r->finding_count)
		putchar('\n');
	rf_check_print_summary(r);
	return rf_flush();
}

/* --- JSON ------------------------------------------------------------------------------- */

/* Of the bytes at the target; the last instruction may be cut, and is then left out. */
static json_t *code_json(const struct rf_subject *s, struct rf_disasm *d,
			 const struct rf_check_finding *f)
{
	json_t *list = json_array();
	struct rf_code c;

	for (size_t at = 0; d && at < f->bytes_count; at += c.len) {
		if (!rf_code_next(s, d, f->bytes + at, f->bytes_count - at,
				  rf_gva_of(f->target.v + at), &c))
			break;
		json_array_append_new(list, rf_code_json(&c));
	}
	return list;
}

json_t *rf_check_finding_json(const struct rf_subject *s, struct rf_disasm *d,
			      const struct rf_check_finding *f)
{
	char place[RF_PLACE_TEXT];
	json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:s}", "check", f->check->name, "severity",
			      rf_severity_text(f->check->severity), "attack", f->check->attack,
			      "reading", f->check->reading, "what", f->what, "object",
			      rf_address_json(f->object.v), "why", f->reason);

	json_object_set_new(o, "object_place", json_string(rf_subject_place(s, f->object, place)));
	if (!f->target.v)
		return o;
	json_object_set_new(o, "target", rf_address_json(f->target.v));
	json_object_set_new(o, "owner", json_string(f->owner));
	json_object_set_new(o, "symbol", json_string(f->symbol));
	json_object_set_new(o, "bytes", rf_hex_json(f->bytes, f->bytes_count));
	json_object_set_new(o, "code", code_json(s, d, f));
	return o;
}

static json_t *result_json(const struct rf_check_result *r)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:s}", "check", r->check->name, "severity",
			 rf_severity_text(r->check->severity), "attack", r->check->attack, "state",
			 rf_check_state_text(r->state), "looked_at", (json_int_t)r->looked_at,
			 "found", (json_int_t)r->found, "reads", (json_int_t)r->reads, "why",
			 r->why);
}

void rf_check_add_summary(json_t *o, const struct rf_check_report *r, const struct rf_known *known)
{
	json_t *results = json_array(), *names = json_array();

	for (size_t i = 0; i < known->count; i++)
		json_array_append_new(names, json_string(known->names[i]));
	for (size_t i = 0; i < r->result_count; i++)
		json_array_append_new(results, result_json(&r->results[i]));
	json_object_set_new(o, "known", names);
	json_object_set_new(o, "not_shown", json_integer((json_int_t)r->left_out));
	json_object_set_new(o, "clean", json_integer((json_int_t)r->count[RF_CHECK_CLEAN]));
	json_object_set_new(o, "found", json_integer((json_int_t)r->found));
	json_object_set_new(o, "could_not_run",
			    json_integer((json_int_t)r->count[RF_CHECK_NOT_RUN]));
	json_object_set_new(o, "undecided", json_integer((json_int_t)r->count[RF_CHECK_UNDECIDED]));
	json_object_set_new(o, "checks", results);
}

int rf_check_show_json(const struct rf_subject *s, const struct rf_check_report *r,
		       const struct rf_known *known)
{
	json_t *o = rf_subject_json(s), *findings = json_array(), *safe;
	struct rf_disasm *d = NULL;

	rf_disasm_create(&d); /* without it evidence has no code */
	for (size_t i = 0; i < r->finding_count; i++)
		json_array_append_new(findings, rf_check_finding_json(s, d, &r->findings[i]));
	rf_disasm_destroy(d);
	rf_check_add_summary(o, r, known);
	json_object_set_new(o, "findings", findings);
	safe = rf_safe_json(o);
	json_decref(o);
	return rf_print_json(safe);
}

/* --- the checks themselves -------------------------------------------------------------- */

static int list_json(const struct rf_check *const *each)
{
	json_t *list = json_array();

	for (; *each; each++)
		json_array_append_new(list,
				      json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", (*each)->name,
						"severity", rf_severity_text((*each)->severity),
						"attack", (*each)->attack, "looks_for",
						(*each)->summary, "reading", (*each)->reading));
	return rf_print_json(list);
}

static int list_table(const struct rf_check *const *each)
{
	static const char *const titles[] = { "NAME", "SEVERITY", "ATT&CK", "LOOKS WHETHER" };
	struct rf_listing *t = rf_listing_create(titles, 4);
	int err = t ? 0 : -1;

	for (; !err && *each; each++)
		err = rf_listing_row(t, (const char *[]){ (*each)->name,
							  rf_severity_text((*each)->severity),
							  (*each)->attack, (*each)->summary });
	return rf_subject_table(t, err);
}

int rf_check_show_list(const struct rf_check *const *each, size_t count, bool json)
{
	if (json)
		return list_json(each);
	if (!count)
		return list_table(each);
	for (; *each; each++)
		printf("%s (%s, ATT&CK %s)\n  looks whether:   %s\n  a finding means: %s\n",
		       (*each)->name, rf_severity_text((*each)->severity), (*each)->attack,
		       (*each)->summary, (*each)->reading);
	return rf_flush();
}
