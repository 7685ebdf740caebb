// SPDX-License-Identifier: LGPL-2.1-or-later
/* A kernel that is not recognised: refused, or let run unsealed where the policy says so and
 * nothing was sealed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

static int setup(void **state)
{
	if (fake_setup(state))
		return -1;
	guest.policy.on_unknown_kernel = RF_ON_UNKNOWN_UNSEALED;
	fake.info.counters[RF_COUNT_RUN] = 7; /* it boots here */
	fake.discover_err = -EBADMSG;
	return 0;
}

static uint32_t kernel_comes(void)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	return fake_judge(&ev);
}

static void runs(void **state)
{
	struct rf_msg_event ev;

	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	assert_int_equal(fake.watches + fake.seals, 0);
	assert_string_equal(fake_text(fake_line(1), "outcome"), "not recognised");
	assert_string_equal(fake_text(fake_line(0), "outcome"), "runs unsealed");
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	assert_string_equal(fake_text(fake_line(0), "rule"), "kernel-not-recognised");
	assert_non_null(strstr(fake_notified(), "UNPROTECTED"));
	/* What comes afterwards is no reason to look for a kernel again, nor for the monitor to
	 * end. */
	ev = fake_event(RF_EVENT_UNSEALED);
	assert_int_equal(fake_judge(&ev), 0);
	assert_int_equal(fake.discovered, 1);
	assert_string_equal(fake_text(fake_line(0), "kind"), "unsealed");
}

static void another_monitor(void **state)
{
	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	fake_new_monitor();
	guest.policy.on_unknown_kernel = RF_ON_UNKNOWN_UNSEALED;
	assert_int_equal(rf_guest_resume(&guest), 0);
	fake_new_monitor(); /* with the policy that refuses it never began */
	assert_int_equal(rf_guest_resume(&guest), -EBADMSG);
}

static void known_after_all(void **state)
{
	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	fake_reset();
	assert_false(guest.unknown);
	fake.discover_err = 0;
	fake_sealed();
}

static void refused(void)
{
	assert_int_equal(kernel_comes(), RF_VERDICT_KILL);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "the VM is ended");
	assert_int_equal(fake_count("rule", "kernel-not-recognised"), 0);
}

static void refused_by_default(void **state)
{
	rf_policy_default(&guest.policy);
	refused();
}

/* Somebody who was locked out has made it so: a kernel that wakes up, or comes up after a reset. */
static void refused_where_one_was_sealed(void **state)
{
	fake.discover_err = 0;
	fake_sealed();
	fake_reset();
	fake.discover_err = -EBADMSG;
	refused();
}

/* It was sealed elsewhere. */
static void refused_as_it_arrives(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_RESET);

	fake.info.counters[RF_COUNT_RUN] = 0;
	refused();
	fake.info.counters[RF_COUNT_RUN] = 7;
	ev.life.cause = RF_CAUSE_ARRIVED;
	assert_int_equal(fake_judge(&ev), 0);
	refused();
}

/* The same, and the monitor that was told of it is gone; or nobody was ever told. */
static void refused_where_one_was_loaded(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_RESET);

	ev.life.cause = RF_CAUSE_ARRIVED;
	fake.info.loaded = true;
	assert_int_equal(fake_judge(&ev), 0);
	fake_new_monitor();
	guest.policy.on_unknown_kernel = RF_ON_UNKNOWN_UNSEALED;
	assert_int_equal(rf_guest_resume(&guest), 0);
	refused();
}

/* What keeps a kernel from being read for want of memory or of time does not make it an unknown
 * one. */
static void refused_for_other_reasons(void **state)
{
	static const int errors[] = { -ENOMEM, -E2BIG, -EFAULT, -EIO };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fake.discover_err = errors[i];
		assert_int_equal(kernel_comes(), RF_VERDICT_KILL);
	}
	assert_int_equal(fake_count("rule", "kernel-not-recognised"), 0);
}

/* It was recognised, and was to be sealed late; then it is not, for another monitor: on record. */
static void found_then_unknown(void **state)
{
	fake.discover_err = 0;
	fake.no_types = true;
	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	fake_new_monitor();
	guest.policy.on_unknown_kernel = RF_ON_UNKNOWN_UNSEALED;
	fake.discover_err = -EBADMSG;
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "runs unsealed");
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
}

static void not_recorded(void **state)
{
	fake_log_full();
	assert_int_not_equal(kernel_comes(), RF_VERDICT_ALLOW);
	fake_log_room();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
		T(runs),
		T(another_monitor),
		T(known_after_all),
		T(refused_by_default),
		T(refused_where_one_was_sealed),
		T(refused_as_it_arrives),
		T(not_recorded),
		T(refused_where_one_was_loaded),
		T(refused_for_other_reasons),
		T(found_then_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
