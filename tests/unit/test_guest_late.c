// SPDX-License-Identifier: LGPL-2.1-or-later
/* A kernel without a word to watch: sealed once its page tables make rodata read-only, and the
 * record says so. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

static uint32_t kernel_comes(void)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	return fake_judge(&ev);
}

/* What a kernel can lack: each leads to the same fallback. */
static void fallback(const char *without, bool no_types)
{
	fake.without = without;
	fake.no_types = no_types;
	fake_map(IMAGE_GVA + RODATA_AT + 0x1000, IMAGE_GPA + RODATA_AT + 0x1000, 0x1000, true,
		 false);
	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	assert_int_equal(fake.watches, 0);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "sealed late");
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "user code may have run"));
	assert_string_equal(fake_text(fake_line(1), "outcome"),
			    no_types ? "found, without types" : "found");
	assert_non_null(strstr(fake_notified(), "sealed late"));
	/* Writable still, not readable, not there: not yet. */
	assert_int_equal(rf_guest_poll(&guest), 0);
	fake_map_kernel();
	fake.walk_err = -EFAULT;
	assert_int_equal(rf_guest_poll(&guest), 0);
	fake.walk_err = 0;
	fake.maps_count = 0;
	assert_int_equal(rf_guest_poll(&guest), 0);
	assert_int_equal(fake.seals, 0);
	fake_map_kernel();
	assert_int_equal(rf_guest_poll(&guest), 0);
	assert_int_equal(fake.seals, 1);
	assert_int_equal(fake_count("outcome", "sealed late: user code may have run before"), 2);
	assert_int_equal(guest.regions_count, 2);
	assert_int_equal(rf_guest_poll(&guest), 0);
	assert_int_equal(fake.seals, 1);
}

static void late_without_symbol(void **state)
{
	fallback("system_state", false);
}

static void late_without_types(void **state)
{
	fallback(NULL, true);
}

static void late_without_enumerator(void **state)
{
	fallback("SYSTEM_RUNNING", false);
}

/* Waiting for what can never come would be running unprotected. */
static void late_but_never(void **state)
{
	static const char *const missing[] = { "__start_rodata", "__end_rodata", "_text",
					       "_etext" };

	fake.no_types = true;
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		fake.without = missing[i];
		assert_int_equal(kernel_comes(), RF_VERDICT_KILL);
		assert_false(guest.poll_permissions);
	}
}

static void late_and_refused(void **state)
{
	fake.no_types = true;
	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	fake.seal_err = -EINVAL;
	assert_int_equal(rf_guest_poll(&guest), -EINVAL);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "not sealed");
	/* The next monitor waits as this one did. */
	fake_new_monitor();
	fake.seal_err = 0;
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(rf_guest_poll(&guest), 0);
	assert_int_equal(guest.regions_count, 2);
}

/* A reset between the look and the seal: the event that says so is on its way. */
static void late_and_stale(void **state)
{
	struct rf_msg_event ev;

	fake.no_types = true;
	assert_int_equal(kernel_comes(), RF_VERDICT_ALLOW);
	fake.posted = 0;
	assert_int_equal(rf_guest_poll(&guest), 0);
	ev = fake_event(RF_EVENT_RESET);
	assert_int_equal(fake_judge(&ev), 0);
	assert_int_equal(rf_guest_poll(&guest), 0);
	assert_int_equal(fake.seals, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
		T(late_without_symbol), T(late_without_types), T(late_without_enumerator),
		T(late_but_never),	T(late_and_refused),   T(late_and_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
