// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A disk that is full at each write of a log in turn, once or for good, whether it takes nothing of
 * the line, half of it, or all but its newline: lines and counts add up to what was decided.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/fake_disk.h"
#include "tests/unit/fake_recorders.h"

#define SEED 3
#define STEPS 12

/* The next monitors have room; what the dead ones counted is theirs to write. */
static void room_again(void)
{
	struct recorded_log log;

	fake_disk_fill_at(0, 0, 0);
	for (unsigned int i = 0; i < RECORDERS - 1; i++) {
		recorder_begin(&recorders[i]);
		recorder_deny(&recorders[i], 2);
		assert_true(recorder_end(&recorders[i]));
	}
	log = recorders_read(true);
	assert_int_equal(log.verdict, RF_LOG_INTACT);
	for (unsigned int i = 0; i < RECORDERS - 1; i++) {
		const struct recorder *r = &recorders[i];

		assert_int_equal(r->refused, 0);
		assert_int_equal(r->acks, r->events);
		assert_int_equal(log.of[i].full + log.of[i].counted, r->events);
		for (uint32_t n = 0; n < r->acks; n++)
			assert_true(r->ack[n].counted || log.of[i].event[r->ack[n].event]);
	}
}

static void full_at(uint64_t n, uint64_t times, size_t bytes, void **state)
{
	assert_int_equal(recorders_setup(state), 0);
	fake_disk_fill_at(n, times, bytes);
	recorders_work(SEED, STEPS);
	room_again();
	assert_int_equal(recorders_teardown(state), 0);
}

static void at_each_write(void **state)
{
	size_t length[256];
	uint64_t writes;
	unsigned int runs = 0;

	assert_int_equal(recorders_setup(state), 0);
	recorders_work(SEED, STEPS);
	writes = fake_disk_writes();
	assert_in_range(writes, STEPS, 256);
	for (uint64_t n = 0; n < writes; n++)
		length[n] = fake_disk_length(n);
	assert_int_equal(recorders_teardown(state), 0);
	for (uint64_t n = 0; n < writes; n++) {
		const size_t takes[] = { 0, 1, length[n] / 2, length[n] - 2, length[n] - 1 };

		for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++, runs += 2) {
			full_at(n, 2, takes[i], state);
			full_at(n, UINT64_MAX, takes[i], state);
		}
	}
	print_message("%u runs\n", runs);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(at_each_write) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
