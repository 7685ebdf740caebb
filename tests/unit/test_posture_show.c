// SPDX-License-Identifier: LGPL-2.1-or-later
/* What `ringfence check posture --json` prints, of one dump and of two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/check_posture.h"

static struct rf_posture_fact facts[100], others[100];
static struct rf_posture_report first, second;

/* cli/subject.c, which a table needs. */
int rf_subject_table(struct rf_listing *t, int err)
{
	fail_msg("no table was asked for");
	return RF_EXIT_INTERNAL;
}

static int setup(void **state)
{
	size_t n = 0;

	for (; rf_posture_row(n); n++) {
		facts[n] = (struct rf_posture_fact){ .state = RF_POSTURE_GOOD,
						     .found = "on",
						     .by = "nx" };
		others[n] = facts[n];
	}
	first = (struct rf_posture_report){ (char *)"a", (char *)"Linux", (char *)"elf", facts, n,
					    { 0 } };
	second = first;
	second.facts = others;
	return 0;
}

/* What was printed to out since it was redirected there. */
static json_t *printed(FILE *out, int before)
{
	json_t *o;

	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	close(before);
	rewind(out);
	o = json_loadf(out, 0, NULL);
	fclose(out);
	assert_non_null(o);
	return o;
}

static int redirect(FILE *out)
{
	int before = dup(STDOUT_FILENO);

	fflush(stdout);
	assert_true(out && before >= 0 && dup2(fileno(out), STDOUT_FILENO) >= 0);
	return before;
}

static void rows_of_one(void **state)
{
	FILE *out = tmpfile();
	int before = redirect(out), code = rf_posture_print(&first, true);
	json_t *o = printed(out, before);

	assert_int_equal(code, RF_EXIT_OK);
	assert_int_equal(json_array_size(json_object_get(o, "rows")), first.count);
	json_decref(o);
}

/* A name means the same wherever it stands: "rows" is a list. */
static void rows_of_two(void **state)
{
	size_t differ = 0;
	FILE *out = tmpfile();
	int before, code;
	json_t *o;

	others[3].state = RF_POSTURE_WEAK;
	snprintf(others[4].by, sizeof(others[4].by), "cr4"); /* is no difference */
	before = redirect(out);
	code = rf_posture_print_diff(&first, &second, true, &differ);
	o = printed(out, before);
	assert_int_equal(code, RF_EXIT_OK);
	assert_int_equal(differ, 1);
	assert_null(json_object_get(o, "rows"));
	assert_int_equal(json_integer_value(json_object_get(o, "row_count")), first.count);
	assert_int_equal(json_array_size(json_object_get(o, "differ")), 1);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rows_of_one, setup),
		cmocka_unit_test_setup(rows_of_two, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
