// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the serving loop relies on of each guard, and what it does with them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

static size_t count(void)
{
	size_t n = 0;

	while (rf_guards[n])
		n++;
	return n;
}

/* Each question of the fence has one guard, but for those about the kernel's life, which guest.c
 * has. */
static void one_for_each_event(void **state)
{
	const uint64_t life = RF_ANSWERS(RF_EVENT_KERNEL) | RF_ANSWERS(RF_EVENT_WATCH) |
			      RF_ANSWERS(RF_EVENT_RESET) | RF_ANSWERS(RF_EVENT_RELOADED) |
			      RF_ANSWERS(RF_EVENT_HALTED) | RF_ANSWERS(RF_EVENT_UNSEALED);
	uint64_t all = life;

	for (size_t i = 0; rf_guards[i]; i++) {
		assert_int_equal(all & rf_guards[i]->answers, 0);
		assert_true(!rf_guards[i]->answers == !rf_guards[i]->answer);
		all |= rf_guards[i]->answers;
	}
	for (uint32_t kind = RF_EVENT_KERNEL; kind <= RF_EVENT_UNSEALED; kind++)
		if (kind != 7) /* there is none */
			assert_true(all & RF_ANSWERS(kind));
}

static void whole(void **state)
{
	assert_true(count() <= RF_GUARDS_MAX);
	for (size_t i = 0; rf_guards[i]; i++) {
		const struct rf_guard *g = rf_guards[i];

		assert_non_null(g->name);
		/* Who reads the guest says how much. */
		if (g->tick)
			assert_true(g->tick_unit.reads && g->tick_unit.what);
		if (g->sweep)
			assert_true(g->sweep_unit.reads && g->sweep_unit.what && g->found);
		assert_int_equal(rf_guards_row(g), i);
		if (g->busy)
			assert_true(g->step && g->reply && g->command && g->step_unit.reads &&
				    g->step_unit.what);
		for (size_t n = 0; n < i; n++) {
			assert_string_not_equal(g->name, rf_guards[n]->name);
			if (g->command && rf_guards[n]->command)
				assert_string_not_equal(g->command, rf_guards[n]->command);
		}
	}
}

static void events_of_nobody(void **state)
{
	static const uint32_t kinds[] = { 0, 7, RF_EVENT_UNSEALED + 1, 63, 64, UINT32_MAX };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct rf_msg_event ev = { .kind = kinds[i] };

		assert_int_equal(rf_guards_answer(&guest, &ev), -EBADMSG);
	}
	assert_null(rf_guards_command("status"));
	assert_null(rf_guards_command(""));
}

static void in_its_time(void **state)
{
	const uint32_t row = rf_guards_row(&rf_guard_patches);
	uint64_t now = rf_now_ns();

	for (size_t i = 0; i < RF_GUARDS_MAX; i++)
		guest.swept_ns[i] = now;
	assert_int_equal(rf_guards_sweep(&guest), 0);
	assert_int_equal(fake.patch_sweeps, 0);
	guest.swept_ns[row] = now - UINT64_C(1000000000);
	assert_int_equal(rf_guards_tick(&guest), 0); /* that is no work of the monitor's */
	assert_int_equal(fake.patch_sweeps, 0);
	assert_int_equal(rf_guards_sweep(&guest), 0);
	assert_int_equal(fake.patch_sweeps, 1);
	assert_int_equal(rf_guards_sweep(&guest), 0);
	assert_int_equal(fake.patch_sweeps, 1);
}

/* Outside of a unit nothing is read: a guard that forgets its own finds nothing, and no more. */
static void nothing_without_a_unit(void **state)
{
	struct rf_budget outer = { 0 };
	uint8_t byte;

	assert_int_equal(rf_unit_end(&guest, &rf_unit_kernel, &guest.budget), 0);
	rf_budget_begin(&guest.budget, 0);
	assert_int_equal(rf_memory_read(&guest.mem, rf_gpa_of(IMAGE_GPA), &byte, 1), -E2BIG);
	outer = rf_unit_begin(&guest, &rf_unit_kernel);
	assert_int_equal(rf_memory_read(&guest.mem, rf_gpa_of(IMAGE_GPA), &byte, 1), 0);
	assert_int_equal(rf_unit_end(&guest, &rf_unit_kernel, &outer), 0);
}

static void says_why(void **state)
{
	json_t *o = rf_guards_status(&guest);

	assert_int_equal(json_object_size(o), count());
	assert_string_equal(fake_text(o, "stores"), "on");
	assert_non_null(strstr(fake_text(o, "tables"), "policy"));
	json_decref(o);
	guest.table = NULL;
	o = rf_guards_status(&guest);
	assert_non_null(strstr(fake_text(o, "patches"), "no table"));
	json_decref(o);
	guest.table = &fake.table;
}

static int setup(void **state)
{
	if (fake_setup(state))
		return -1;
	fake_sealed();
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
		T(one_for_each_event),	   T(whole),	T(events_of_nobody), T(in_its_time),
		T(nothing_without_a_unit), T(says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
