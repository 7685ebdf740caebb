// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * How long a count may be in no line, whatever a guest does: what a host that goes down takes with
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/fake_recorders.h"

#define SECOND UINT64_C(1000000000)
#define MINUTES 15u
#define TICKS 10u /* of the monitor's loop, in a second */
/* All places of the memory in turn, two a second; and as many once more that a monitor which took
 * over has just written without waiting. */
#define MOST_SECONDS (RF_FOLD_DUE_NS / SECOND + 2 * RF_FOLD_SLOTS / 2)

static uint64_t oldest(const struct rf_fold *f)
{
	uint64_t first = recorders_mono_ns();

	for (uint32_t i = 0; i < RF_FOLD_SLOTS; i++)
		if (f->slots[i].n.count && f->slots[i].n.first.mono_ns < first)
			first = f->slots[i].n.first.mono_ns;
	return (recorders_mono_ns() - first) / SECOND;
}

/* So many rules in turn, each time at the next of so many places; another monitor takes over once
 * in so many seconds: the age of the oldest count. */
static uint64_t worst(unsigned int rules, unsigned int places, unsigned int takeover)
{
	struct recorder *r = &recorders[0];
	uint64_t most = 0;
	char rule[24];

	recorder_begin(r);
	for (unsigned int tick = 0; tick < MINUTES * 60 * TICKS; tick++) {
		for (unsigned int n = 0; n < 2 * rules; n++) {
			struct rf_record record =
				recorder_denial(r, (tick * 2 * rules + n) % places);

			snprintf(rule, sizeof(rule), "rule-%u", n % rules);
			record.rule = rule;
			assert_int_equal(rf_record_write(&r->guest, &record), 0);
		}
		if (takeover && tick % (takeover * TICKS) == takeover * TICKS - 1)
			recorder_begin(r);
		recorders_pass(SECOND / TICKS);
		recorder_tick(r);
		most = oldest(&r->fold) > most ? oldest(&r->fold) : most;
	}
	assert_true(recorder_end(r));
	print_message("%u rules, %u places: %llu s\n", rules, places, (unsigned long long)most);
	return most;
}

static void few(void **state)
{
	assert_in_range(worst(1, 1, 0), 1, 10);
}

static void many(void **state)
{
	assert_in_range(worst(1, 64, 0), 10, MOST_SECONDS);
}

static void as_many_as_it_can(void **state)
{
	assert_in_range(worst(RF_FOLD_CLASSES, 31, 0), 10, MOST_SECONDS);
}

static void taken_over(void **state)
{
	assert_in_range(worst(RF_FOLD_CLASSES - 1, 8, 400), 10, MOST_SECONDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, recorders_setup, recorders_teardown)
		T(few),
		T(many),
		T(as_many_as_it_can),
		T(taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
