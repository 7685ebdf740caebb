// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A wall clock that jumps, by hours, to 1970 and centuries ahead, between any two records: numbers
 * and monotonic times go on, counts and checkpoints come when they are due by the monotonic clock,
 * and all that it decides is what it is with a clock that goes right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_disk.h"
#include "tests/unit/fake_recorders.h"

#define SECOND UINT64_C(1000000000)
#define HOUR (3600 * SECOND)
#define NOW (UINT64_C(1700000000) * SECOND)
#define ROUNDS 60u

static void right(unsigned int round) {}

static void jumps(unsigned int round)
{
	static const uint64_t to[] = { NOW,
				       NOW - 5 * HOUR,
				       NOW + 5 * HOUR,
				       0,
				       UINT64_C(9000000000) * SECOND, /* 2255 */
				       NOW - 1,
				       NOW + 24 * HOUR };

	recorders_set_clock(to[round % (sizeof(to) / sizeof(to[0]))]);
}

/* Lines without what tells a time, one after the other; malloc'd. */
static char *without_times(void)
{
	static const char *const times[] = {
		"time", "first", "last", "prev", "hash", "note", "root"
	};
	char *all = strdup(""), *line = NULL;
	FILE *log = fopen(recorders_path, "r");
	size_t room = 0, len = 0;

	assert_true(log && all);
	while (getline(&line, &room, log) > 0) {
		json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		char *text;

		assert_non_null(o);
		for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
			json_object_del(o, times[i]);
		text = json_dumps(o, JSON_COMPACT);
		all = realloc(all, len + strlen(text) + 1);
		assert_non_null(all);
		strcpy(all + len, text);
		len += strlen(text);
		free(text);
		json_decref(o);
	}
	free(line);
	fclose(log);
	return all;
}

/* What two monitors write, and that the counts are written when they are due. */
static char *work(void (*clock)(unsigned int round))
{
	struct recorded_log log;
	char *text;

	assert_int_equal(recorders_setup(NULL), 0);
	recorder_begin(&recorders[0]);
	recorder_begin(&recorders[1]);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct recorder *r = &recorders[round % 2];

		for (unsigned int n = 0; n < 15; n++) {
			recorder_deny(r, round / 2 % 3);
			clock(round + n);
		}
		assert_true(rf_fold_pending(&r->fold) > 0);
		recorders_pass(RF_FOLD_DUE_NS + SECOND);
		clock(round);
		recorder_tick(r);
		assert_int_equal(rf_fold_pending(&r->fold), 0);
	}
	assert_true(recorder_end(&recorders[0]) && recorder_end(&recorders[1]));
	log = recorders_read(true);
	assert_int_equal(log.verdict, RF_LOG_INTACT);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(log.of[i].full + log.of[i].counted, recorders[i].events);
	text = without_times();
	assert_int_equal(recorders_teardown(NULL), 0);
	return text;
}

static void a_clock_that_jumps(void **state)
{
	char *as_it_should = work(right), *jumping = work(jumps);

	assert_true(strlen(as_it_should) > ROUNDS * 100);
	assert_string_equal(jumping, as_it_should);
	free(as_it_should);
	free(jumping);
}

/* Never back. */
static void monotonic_times_go_on(void **state)
{
	json_int_t last = 0, jumped = 0;
	char *line = NULL, before[40] = "";
	size_t room = 0;
	FILE *log;

	assert_int_equal(recorders_setup(NULL), 0);
	recorder_begin(&recorders[0]);
	for (unsigned int n = 0; n < 40; n++) {
		recorder_deny(&recorders[0], n % 3);
		recorders_pass(SECOND);
		jumps(n);
	}
	log = fopen(recorders_path, "r");
	while (getline(&line, &room, log) > 0) {
		json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		json_int_t mono = json_integer_value(json_object_get(o, "mono_ns"));
		const char *time = json_string_value(json_object_get(o, "time"));

		assert_true(mono >= last);
		last = mono;
		/* RFC 3339 in UTC, whatever the year: as text in the order of time. */
		assert_int_equal(strlen(time), strlen("1970-01-01T00:00:00.000000000Z"));
		jumped += strcmp(time, before) < 0;
		strcpy(before, time);
		json_decref(o);
	}
	free(line);
	fclose(log);
	assert_true(jumped > 10);
	assert_int_equal(recorders_teardown(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clock_that_jumps),
		cmocka_unit_test(monotonic_times_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
