// SPDX-License-Identifier: LGPL-2.1-or-later
/* Rows of posture whose answer depends on more than one thing in the kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/posturing.h"

#define LEVEL (AT + 0x800)
#define NAMES (AT + 0x900) /* of the security modules */

/* --- lockdown ------------------------------------------------------------------------------ */

/* include/linux/security.h enum lockdown_reason, in its order. */
static void know_lockdown(uint64_t level)
{
	static const char *const reasons[] = {
		"LOCKDOWN_NONE",
		"LOCKDOWN_MODULE_SIGNATURE",
		"LOCKDOWN_DEV_MEM",
		"LOCKDOWN_HIBERNATION",
		"LOCKDOWN_INTEGRITY_MAX",
		"LOCKDOWN_KCORE",
		"LOCKDOWN_CONFIDENTIALITY_MAX",
	};

	for (unsigned int i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		fake_enumerator(reasons[i], i);
	fake_symbol("kernel_locked_down", LEVEL);
	fake_u64(LEVEL, level);
}
#define INTEGRITY 4
#define CONFIDENTIALITY 6

static void have_modules(const char *names)
{
	fake_symbol("lsm_names", NAMES);
	fake_u64(NAMES, NAMES + 0x10);
	strcpy((char *)fake_bytes + (NAMES + 0x10) % FAKE_SIZE, names);
}

/* What is there to be forbidden, and is not by other means. */
static void have_features(void)
{
	static const char *const symbols[] = { "sig_enforce", "mem_fops", "kclist_add",
					       "nohibernate", "hibernate" };

	for (unsigned int i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		fake_symbol(symbols[i], AT + i * 0x10);
}

static const struct {
	const char *row;
	uint64_t level; /* from which on it is good */
} locked[] = {
	{ "module-signatures", INTEGRITY }, { "dev-mem", INTEGRITY },
	{ "hibernation", INTEGRITY },	    { "kcore", CONFIDENTIALITY },
	{ "lockdown", CONFIDENTIALITY },
};
#define LOCKED (sizeof(locked) / sizeof(locked[0]))

static void lockdown_forbids(void **state)
{
	static const uint64_t levels[] = { 0, INTEGRITY, CONFIDENTIALITY };

	for (unsigned int i = 0; i < LOCKED; i++) {
		for (unsigned int n = 0; n < 3; n++) {
			bool good = levels[n] >= locked[i].level;

			setup(NULL);
			have_features();
			know_lockdown(levels[n]);
			have_modules("lockdown,capability,yama");
			assert_int_equal(look_at(row_named(locked[i].row)),
					 good ? RF_POSTURE_GOOD : RF_POSTURE_WEAK);
			if (good && strcmp(locked[i].row, "lockdown"))
				assert_string_equal(fact.found, "enforced by lockdown");
		}
	}
}

/* lockdown=confidentiality lsm=capability,yama */
static void lockdown_that_is_not_active(void **state)
{
	for (unsigned int i = 0; i < LOCKED; i++) {
		setup(NULL);
		have_features();
		know_lockdown(CONFIDENTIALITY);
		have_modules("capability,yama");
		assert_int_equal(look_at(row_named(locked[i].row)), RF_POSTURE_WEAK);
	}
	assert_string_equal(fact.found, "not active");
	assert_string_equal(fact.by, "list of security modules");
}

static void lockdown_without_a_list(void **state)
{
	for (unsigned int i = 0; i < LOCKED; i++) {
		setup(NULL);
		have_features();
		know_lockdown(CONFIDENTIALITY);
		assert_int_equal(look_at(row_named(locked[i].row)), RF_POSTURE_UNKNOWN);
		fake_symbol("lsm_names", GONE);
		assert_int_equal(look_at(row_named(locked[i].row)), RF_POSTURE_UNKNOWN);
		/* Without lockdown there is nothing to be active. */
		fake_u64(LEVEL, 0);
		assert_int_equal(look_at(row_named(locked[i].row)), RF_POSTURE_WEAK);
	}
}

/* What says what it wants by itself does so whatever lockdown does. */
static void without_lockdown(void **state)
{
	for (unsigned int i = 0; i < LOCKED; i++) {
		setup(NULL);
		have_features();
		assert_int_equal(look_at(row_named(locked[i].row)), RF_POSTURE_WEAK);
	}
	setup(NULL);
	have_features();
	know_lockdown(0);
	fake_u64(AT, 1);	/* sig_enforce */
	fake_u64(AT + 0x30, 1); /* nohibernate */
	assert_int_equal(look_at(row_named("module-signatures")), RF_POSTURE_GOOD);
	assert_string_equal(fact.found, "enforced");
	assert_int_equal(look_at(row_named("hibernation")), RF_POSTURE_GOOD);
	assert_string_equal(fact.found, "off");
}

static void yama_without_a_list(void **state)
{
	const struct rf_posture_row *row = row_named("ptrace-scope");

	fake_symbol("ptrace_scope", AT);
	fake_u64(AT, 3);
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
	have_modules("lockdown,capability");
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
}

/* --- what is good by not being there ------------------------------------------------------- */

static bool by_absence(const struct rf_reading *r)
{
	bool is_symbol = r->read == rf_read_function || r->read == rf_read_symbol;

	return r->absent == RF_ABSENT_GOOD ||
	       (is_symbol && r->wanted == RF_IS && !r->value && !r->enumerator);
}

/* One symbol that has another name in a newer kernel, or was hidden, makes nothing good. */
static void absence_is_of_all_of_it(void **state)
{
	const struct rf_posture_row *row;
	unsigned int n = 0;

	for (size_t i = 0; (row = rf_posture_row(i)); i++) {
		const struct rf_reading *r = row->readings;

		while (r < row->readings + 3 && r->read && !by_absence(r))
			r++;
		if (!r->read || !by_absence(r))
			continue;
		n++;
		setup(NULL);
		assert_int_equal(look_at(row), RF_POSTURE_GOOD);
		assert_non_null(r->also);
		for (const char *each = r->also; *each; each += *each == '|') {
			static char name[64];
			size_t len = strcspn(each, "|");

			setup(NULL);
			snprintf(name, sizeof(name), "%.*s", (int)len, each);
			/* kernel/sys_ni.c has it in every kernel. */
			assert_null(strstr(name, "_sys_"));
			fake_symbol(name, FAKE_STEXT);
			assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
			assert_non_null(strstr(fact.unknown, name));
			assert_non_null(strstr(fact.unknown, r->name));
			each += len;
		}
	}
	assert_int_equal(n, 15);
}

/* --- texts ------------------------------------------------------------------------------------ */

static void how_it_is_set(void **state)
{
	const char *set = rf_posture_set(row_named("panic-on-oops"));

	assert_non_null(strstr(set, "boot: oops=panic"));
	assert_non_null(strstr(set, "sysctl kernel.panic_on_oops = 1"));
	assert_non_null(strstr(rf_posture_wanted(row_named("stack-protector")), "plain or strong"));
	assert_non_null(strstr(rf_posture_set(row_named("stack-protector")), "not told"));
	assert_non_null(strstr(rf_posture_set(row_named("hibernation")), "lockdown=integrity"));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lockdown_forbids),
		TEST(lockdown_that_is_not_active),
		TEST(lockdown_without_a_list),
		TEST(without_lockdown),
		TEST(yama_without_a_list),
		TEST(absence_is_of_all_of_it),
		TEST(how_it_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
