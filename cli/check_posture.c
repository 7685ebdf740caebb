// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/check_posture.h"

#include <stdlib.h>
#include <string.h>

static void forget(struct rf_posture_report *r)
{
	free(r->name);
	free(r->kernel);
	free(r->format);
	free(r->facts);
}

static int no_memory(void)
{
	return rf_fail(RF_EXIT_INTERNAL, "nothing is shown", "free some memory", "no memory");
}

static size_t count_rows(void)
{
	size_t n = 0;

	while (rf_posture_row(n))
		n++;
	return n;
}

/* Where the subject is gone, what is shown of it is still there. */
static bool begin(const struct rf_subject *s, struct rf_posture_report *r)
{
	r->name = rf_safe_dup(s->name);
	r->kernel = rf_safe_dup(rf_kernel_banner(s->kernel));
	r->format = rf_safe_dup(s->format);
	r->facts = calloc(count_rows(), sizeof(*r->facts));
	return r->name && r->kernel && r->format && r->facts;
}

static int look(const struct rf_subject *s, char **operands, void *ctx)
{
	struct rf_posture_report *r = ctx;
	struct rf_posture *p = NULL;
	struct rf_checks *c;
	int code = rf_subject_checks(s, NULL, &c);

	if (code != RF_EXIT_OK)
		return code;
	if (!begin(s, r) || rf_posture_create(c, s->cpus, s->cpu_count, &p))
		code = no_memory();
	for (const struct rf_posture_row *row; p && (row = rf_posture_row(r->count));) {
		struct rf_posture_fact *fact = &r->facts[r->count++];

		rf_posture_look(p, row, fact);
		r->states[fact->state]++;
	}
	rf_posture_destroy(p);
	rf_checks_destroy(c);
	return code;
}

static int look_at(const char *name, const struct rf_posture_options *options,
		   struct rf_posture_report *r)
{
	char *items[] = { (char *)name, NULL };
	const struct rf_operands one = { .items = items, .count = 1 };

	return rf_subject_show(&one, &options->how, look, r);
}

int rf_check_posture(const struct rf_command *c, const struct rf_operands *operands,
		     const struct rf_posture_options *options)
{
	struct rf_posture_report r = { 0 }, other = { 0 };
	size_t differ = 0;
	int code = rf_subject_operands(c, operands, 1, 1);

	if (code >= 0)
		return code;
	code = look_at(operands->items[0], options, &r);
	if (code == RF_EXIT_OK && options->other)
		code = look_at(options->other, options, &other);
	if (code == RF_EXIT_OK)
		code = options->other ? rf_posture_print_diff(&r, &other, options->json, &differ)
				      : rf_posture_print(&r, options->json);
	forget(&r);
	forget(&other);
	return code == RF_EXIT_OK && differ ? RF_EXIT_NO : code;
}

int rf_check_posture_list(bool json)
{
	return rf_posture_print_rows(json);
}
