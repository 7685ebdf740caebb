// SPDX-License-Identifier: LGPL-2.1-or-later
/* The guard of checks: when each runs, what of its findings is told, and what is written down. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/checks.h"
#include "tests/unit/fake_monitor.h"

static int setup(void **state)
{
	int err = fake_setup(state);

	if (!err)
		fake_sealed();
	return err;
}

/* So many milliseconds, in which the guest runs or stands still. */
static void pass(uint32_t ms, bool runs)
{
	struct rf_budget outer;

	for (; ms >= 100; ms -= 100) {
		fake.info.counters[RF_COUNT_RUN] += runs ? 10 : 0;
		outer = rf_unit_begin(&guest, &rf_guard_checks.sweep_unit);
		assert_int_equal(rf_guard_checks.sweep(&guest, 100), 0);
		assert_int_equal(rf_unit_end(&guest, &rf_guard_checks.sweep_unit, &outer), 0);
	}
}

static void find(uint64_t object, uint64_t target, const char *what)
{
	struct rf_check_finding *f = &fake.findings[fake.findings_count++];

	*f = (struct rf_check_finding){ .check = rf_checks[0],
					.object = { object },
					.target = { target } };
	snprintf(f->what, sizeof(f->what), "%s", what);
	snprintf(f->reason, sizeof(f->reason), "it leads elsewhere");
}

static size_t told(void)
{
	return fake_count("kind", "check");
}

static void each_in_its_period(void **state)
{
	pass(10000, true);
	assert_in_range(fake.checks_runs[0], 9, 11);
	assert_in_range(fake.checks_runs[1], 2, 3);
	assert_int_equal(told(), 0);
}

static void found_twice_is_told_once(void **state)
{
	json_t *line;

	pass(1000, true);
	find(OTHER_GVA, TABLE_GVA, "hook of something");
	pass(1600, true);
	assert_int_equal(told(), 1);
	line = fake_line(0);
	assert_string_equal(fake_text(line, "verdict"), "detected");
	assert_string_equal(fake_text(line, "rule"), "check-found");
	assert_string_equal(fake_text(line, "detail"),
			    "first (high, T1014): \"hook of something\": it leads elsewhere");
	assert_non_null(json_object_get(line, "target"));
	assert_non_null(json_object_get(line, "handler"));
	pass(10000, true);
	assert_int_equal(told(), 1);
	/* It goes, and comes again. */
	fake.findings_count = 0;
	pass(2000, true);
	find(OTHER_GVA, TABLE_GVA, "hook of something");
	pass(2000, true);
	assert_int_equal(told(), 2);
}

static void a_moment_is_not_told(void **state)
{
	find(OTHER_GVA, 0, "task 1");
	pass(200, true);
	fake.findings_count = 0;
	pass(5000, true);
	assert_int_equal(told(), 0);
}

/* Halted in the middle of something, it looks the same for as long as that lasts. */
static void a_guest_that_stands_still(void **state)
{
	find(OTHER_GVA, 0, "task 1");
	pass(20000, false);
	assert_int_equal(told(), 0);
	pass(1000, true);
	assert_int_equal(told(), 1);
}

static void undecided_is_told(void **state)
{
	fake.check_state = RF_CHECK_UNDECIDED;
	pass(3000, true);
	assert_int_equal(fake_count("kind", "endless"), 0);
	pass(3000, true);
	assert_int_equal(fake_count("kind", "endless"), 1);
	assert_string_equal(fake_text(fake_line(0), "detail"),
			    "the check first is undecided: because");
	pass(20000, true);
	assert_int_equal(fake_count("kind", "endless"), 1);
	/* What it had found before stays found while it is undecided. */
	fake.check_state = 0;
	find(OTHER_GVA, 0, "task 1");
	pass(2000, true);
	fake.check_state = RF_CHECK_UNDECIDED;
	fake.findings_count = 0;
	pass(2000, true);
	fake.check_state = 0;
	find(OTHER_GVA, 0, "task 1");
	pass(2000, true);
	assert_int_equal(told(), 1);
}

/* One finding in front of a list that is bent does not hide that the rest is not looked at. */
static void found_and_cut(void **state)
{
	find(OTHER_GVA, 0, "task 1");
	find(OTHER_GVA + 8, 0, "task 2");
	pass(2000, true);
	assert_int_equal(told(), 2);
	fake.check_cut = true;
	fake.findings_count = 1;
	pass(6000, true);
	assert_int_equal(fake_count("kind", "endless"), 1);
	/* The second was not seen to go. */
	fake.check_cut = false;
	fake.findings_count = 2;
	pass(3000, true);
	assert_int_equal(told(), 2);
}

/* More than there is room for is told as such. */
static void more_than_can_be_told(void **state)
{
	for (uint64_t batch = 0; batch < 80; batch++) {
		fake.findings_count = 0;
		for (uint64_t i = 0; i < 8; i++)
			find(OTHER_GVA + batch * 8 + i, 0, "task");
		fake.check_cut = true; /* so that none is taken for gone */
		pass(1000, true);
	}
	fake.check_cut = false;
	fake.check_state = RF_CHECK_FOUND;
	pass(1000, true);
	assert_true(fake_count("kind", "endless") >= 1);
}

/* --- what a sweeper may say ------------------------------------------------------------- */

static int say(uint32_t kind, const struct rf_check_words *w, size_t n)
{
	uint64_t values[RF_FOUND_VALUES] = { 0 };

	memcpy(values, w, sizeof(*w));
	return rf_guards_found(&guest, rf_guards_row(&rf_guard_checks), kind, values, n);
}

static void foreign_words(void **state)
{
	struct rf_check_words w = { .object = 1 };

	assert_int_equal(say(RF_CHECKS_FOUND | 3, &w, RF_CHECK_VALUES), 0); /* no such check */
	assert_int_equal(say(RF_CHECKS_FOUND, &w, RF_CHECK_VALUES - 1), 0);
	assert_int_equal(say(0x400, &w, RF_CHECK_VALUES), 0);
	assert_int_equal(say(0, &w, RF_CHECK_VALUES), 0);
	assert_int_equal(told(), 0);
	memset(w.what, 0x1b, sizeof(w.what));
	memset(w.reason, '"', sizeof(w.reason));
	assert_int_equal(say(RF_CHECKS_FOUND, &w, RF_CHECK_VALUES), 0);
	assert_int_equal(told(), 1); /* the line was parsed, and is one */
	assert_int_equal(say(RF_CHECKS_FOUND, &w, RF_CHECK_VALUES), 0);
	assert_int_equal(told(), 1);
}

static void a_flood_has_an_end(void **state)
{
	struct rf_check_words w = { .what = "x", .reason = "y" };
	size_t lines;

	for (w.object = 0; w.object < 3000; w.object++) {
		assert_int_equal(say(RF_CHECKS_FOUND, &w, RF_CHECK_VALUES), 0);
		assert_int_equal(say(RF_CHECKS_GONE, &w, RF_CHECK_VALUES), 0);
		assert_int_equal(say(RF_CHECKS_UNABLE, &w, RF_CHECK_VALUES), 0);
	}
	lines = fake_lines();
	assert_true(lines < 1024 + 256 + 50);
	say(RF_CHECKS_FOUND, &w, RF_CHECK_VALUES);
	assert_int_equal(fake_lines(), lines);
}

/* --- policy -------------------------------------------------------------------------------- */

static void off_by_policy(void **state)
{
	guest.policy.checks = RF_CHECKS_OFF;
	fake_reset();
	fake_sealed();
	find(OTHER_GVA, 0, "task 1");
	pass(5000, true);
	assert_int_equal(fake.checks_runs[0], 0);
	assert_int_equal(told(), 0);
}

static void owners_are_known(void **state)
{
	assert_null(fake.checks_known);
	strcpy(guest.policy.owners.name[0], "tracer");
	guest.policy.owners.count = 1;
	fake_reset();
	fake_sealed();
	assert_string_equal(fake.checks_known, "tracer");
	assert_int_equal(fake.checks_alive, 1);
}

static void some_are_off(void **state)
{
	strcpy(guest.policy.checks_off.name[0], rf_checks[0]->name);
	guest.policy.checks_off.count = 1;
	pass(5000, true);
	assert_int_equal(fake.checks_runs[0], 0);
	assert_true(fake.checks_runs[1] > 0);
	guest.policy.checks_off.count = 0;
	pass(5000, true);
	assert_true(fake.checks_runs[0] > 0);
}

static const char *outcome(void)
{
	return fake_text(fake_line(0), "outcome");
}

/* What the owner wants of what one check finds: on record first, and asked of `run`. */
static void lists_of_policy(void **state)
{
	struct rf_names *observe = &guest.policy.checks_observe, *kill = &guest.policy.checks_kill,
			*pause = &guest.policy.checks_pause;

	strcpy(observe->name[0], "first");
	observe->count = 1;
	find(OTHER_GVA, 0, "task 1");
	pass(2600, true);
	assert_int_equal(told(), 1);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "allowed");
	strcpy(pause->name[0], "first");
	pause->count = 1;
	find(OTHER_GVA + 8, 0, "task 2");
	fake_notified();
	pass(2600, true);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	assert_string_equal(outcome(), RF_OUTCOME_PAUSED);
	assert_string_equal(fake_notified(), "pause\n");
	/* Once: who has resumed it knows of it. */
	pass(5000, true);
	assert_int_equal(rf_guard_checks.tick(&guest, 100), 0);
	assert_string_equal(fake_notified(), "");
	strcpy(kill->name[0], "first");
	kill->count = 1;
	find(OTHER_GVA + 16, 0, "task 3");
	pass(2600, true);
	assert_string_equal(outcome(), RF_OUTCOME_ENDED);
	assert_string_equal(fake_notified(), "end\n");
	guest.policy.mode = RF_MODE_OBSERVE;
	find(OTHER_GVA + 24, 0, "task 4");
	pass(2600, true);
	assert_int_equal(told(), 4);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	assert_string_equal(outcome(), "left as it is");
	assert_string_equal(fake_notified(), "");
}

/* What others are found for uses up neither the lines nor the places of what ends the VM. */
static void noise_of_others(void **state)
{
	struct rf_check_words w = { .object = 1 };
	uint64_t values[RF_CHECK_VALUES];

	strcpy(guest.policy.checks_observe.name[0], rf_checks[0]->name);
	guest.policy.checks_observe.count = 1;
	strcpy(guest.policy.checks_kill.name[0], rf_checks[1]->name);
	guest.policy.checks_kill.count = 1;
	strcpy(w.reason, "it leads elsewhere");
	for (w.object = 1; w.object < 3000; w.object++) {
		memcpy(values, &w, sizeof(values));
		assert_int_equal(
			rf_guard_checks.found(&guest, RF_CHECKS_FOUND | 0, values, RF_CHECK_VALUES),
			0);
	}
	fake_notified();
	assert_int_equal(
		rf_guard_checks.found(&guest, RF_CHECKS_FOUND | 1, values, RF_CHECK_VALUES), 0);
	assert_string_equal(outcome(), RF_OUTCOME_ENDED);
	assert_string_equal(fake_notified(), "end\n");
	/* Of the same one a bound holds, too. */
	for (w.object = 1; w.object < 200; w.object++) {
		memcpy(values, &w, sizeof(values));
		rf_guard_checks.found(&guest, RF_CHECKS_FOUND | 1, values, RF_CHECK_VALUES);
	}
	assert_in_range(fake_count("outcome", RF_OUTCOME_ENDED), 2, 20);
}

/* Its places in the sweeper: 512 things of others that stay are not all. */
static void room_for_what_acts(void **state)
{
	struct rf_names *kill = &guest.policy.checks_kill;

	fake.check_cut = true; /* what is there no more is kept meanwhile */
	for (int round = 0; round < 80; round++) {
		fake.findings_count = 0;
		for (int i = 0; i < 8; i++)
			find(OTHER_GVA + 8 * (uint64_t)(8 * round + i), 0, "noise");
		pass(1100, true);
	}
	strcpy(kill->name[0], "first");
	kill->count = 1;
	fake_notified();
	fake.findings_count = 0;
	find(OTHER_GVA + 0x8000, 0, "task");
	pass(3000, true);
	assert_non_null(strstr(fake_notified(), "end\n"));
}

/* The sweeper's word counts only for what it is to look for. */
static void off_is_not_told(void **state)
{
	uint64_t values[RF_CHECK_VALUES] = { OTHER_GVA };

	strcpy(guest.policy.checks_off.name[0], rf_checks[0]->name);
	guest.policy.checks_off.count = 1;
	rf_guard_checks.found(&guest, RF_CHECKS_FOUND | 0, values, RF_CHECK_VALUES);
	assert_int_equal(told(), 0);
	guest.policy.checks_off.count = 0;
	rf_guard_checks.found(&guest, RF_CHECKS_FOUND | 0, values, RF_CHECK_VALUES);
	assert_int_equal(told(), 1);
}

/* `run` has no time to read just now: it is asked again, whatever the guest does meanwhile. */
static void asked_until_it_is_taken(void **state)
{
	strcpy(guest.policy.checks_kill.name[0], "first");
	guest.policy.checks_kill.count = 1;
	while (write(fake.notify[1], "x\n", 2) == 2)
		;
	find(OTHER_GVA, 0, "task 1");
	pass(2600, true);
	assert_string_equal(outcome(), RF_OUTCOME_ENDED);
	rf_guard_checks.forget(&guest);
	for (int i = 0; i < 20; i++)
		if (strstr(fake_notified(), "end"))
			fail_msg("there was no room for it");
	assert_int_equal(rf_guard_checks.tick(&guest, 100), 0);
	assert_string_equal(fake_notified(), "end\n");
	assert_int_equal(rf_guard_checks.tick(&guest, 100), 0);
	assert_string_equal(fake_notified(), "");
}

static const char *state_of_check(size_t i)
{
	static char text[32];
	json_t *o = rf_guard_checks.reply(&guest);

	snprintf(text, sizeof(text), "%s",
		 json_string_value(json_object_get(json_array_get(json_object_get(o, "checks"), i),
						   "state")));
	json_decref(o);
	return text;
}

/* What a guard looks for is not off, whatever checks_off says. */
static void a_guard_is_not_off(void **state)
{
	guest.policy.pin_tables = guest.tables_known = true;
	strcpy(guest.policy.checks_off.name[0], rf_checks[0]->name);
	strcpy(guest.policy.checks_off.name[1], rf_checks[2]->name);
	guest.policy.checks_off.count = 2;
	assert_string_equal(state_of_check(0), "off");
	assert_string_equal(state_of_check(2), "by a guard");
	guest.policy.pin_tables = false;
	assert_string_equal(state_of_check(2), "off");
}

/* What a guard looks for is left to it, where it does. */
static void where_no_guard_is(void **state)
{
	guest.policy.pin_tables = guest.tables_known = true;
	pass(3000, true);
	assert_int_equal(fake.checks_runs[2], 0);
	guest.tables_known = false;
	pass(3000, true);
	assert_in_range(fake.checks_runs[2], 2, 4);
	guest.tables_known = true;
	guest.policy.pin_tables = false;
	pass(3000, true);
	assert_in_range(fake.checks_runs[2], 4, 8);
}

/* Of a fence that says nothing it is not known how long its guest ran. */
static void a_fence_that_says_nothing(void **state)
{
	find(OTHER_GVA, 0, "task 1");
	fake.info_err = -EAGAIN;
	pass(5000, true);
	assert_int_equal(told(), 0);
	fake.info_err = 0;
	pass(100, true);
	assert_int_equal(told(), 0);
}

static void without_types(void **state)
{
	fake.no_types = true;
	fake_reset();
	fake_sealed();
	pass(2000, true);
	assert_int_equal(fake.checks_runs[0], 0);
	assert_non_null(strstr(rf_guard_checks.lacks(&guest), "types"));
}

static void who_asks(void **state)
{
	json_t *said, *finding;

	find(OTHER_GVA, TABLE_GVA, "hook");
	pass(2000, true);
	said = rf_guards_reply(&guest, &rf_guard_checks);
	assert_int_equal(json_array_size(json_object_get(said, "checks")), 3);
	finding = json_array_get(json_object_get(said, "findings"), 0);
	assert_string_equal(json_string_value(json_object_get(finding, "check")), "first");
	assert_string_equal(json_string_value(json_object_get(finding, "what")), "hook");
	assert_true(json_is_true(json_object_get(finding, "told")));
	json_decref(said);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_in_its_period),      TEST(found_twice_is_told_once),
		TEST(a_moment_is_not_told),    TEST(a_guest_that_stands_still),
		TEST(undecided_is_told),       TEST(found_and_cut),
		TEST(more_than_can_be_told),   TEST(foreign_words),
		TEST(a_flood_has_an_end),      TEST(off_by_policy),
		TEST(owners_are_known),	       TEST(some_are_off),
		TEST(lists_of_policy),	       TEST(noise_of_others),
		TEST(room_for_what_acts),      TEST(off_is_not_told),
		TEST(asked_until_it_is_taken), TEST(a_guard_is_not_off),
		TEST(where_no_guard_is),       TEST(a_fence_that_says_nothing),
		TEST(without_types),	       TEST(who_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
