// SPDX-License-Identifier: LGPL-2.1-or-later
/* tests/shim/cmocka.h: each assertion fails when it should, and ends the program with 1. */
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define STATUS(...)                                                                                \
	({                                                                                         \
		int rf_status = -1;                                                                \
		pid_t rf_child;                                                                    \
		fflush(stdout);                                                                    \
		rf_child = fork();                                                                 \
		if (!rf_child) {                                                                   \
			close(STDOUT_FILENO);                                                      \
			close(STDERR_FILENO);                                                      \
			__VA_ARGS__;                                                               \
			_exit(0);                                                                  \
		}                                                                                  \
		if (waitpid(rf_child, &rf_status, 0) != rf_child || !WIFEXITED(rf_status))         \
			return 2;                                                                  \
		WEXITSTATUS(rf_status);                                                            \
	})
#define HOLDS(...) (bad |= STATUS(__VA_ARGS__) != 0)
#define FAILS(...) (bad |= STATUS(__VA_ARGS__) != 1)

static void passes(void **state)
{
	(void)state;
}

static void fails(void **state)
{
	assert_true(state == NULL);
}

static void skips(void **state)
{
	(void)state;
	skip();
	fail();
}

static int bad_setup(void **state)
{
	(void)state;
	return -1;
}

static int group(void (*second)(void **state), int (*setup)(void **state))
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(passes),
					    cmocka_unit_test_setup(second, setup) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Does not use the assertions for its own: they are what is tested. */
int main(void)
{
	int bad = 0;

	HOLDS(assert_true(1 == 1));
	FAILS(assert_true(1 == 2));
	HOLDS(assert_false(0));
	FAILS(assert_false(4));
	HOLDS(assert_null(NULL));
	FAILS(assert_null("x"));
	HOLDS(assert_non_null("x"));
	FAILS(assert_non_null(NULL));
	HOLDS(assert_int_equal(-1, -1L));
	FAILS(assert_int_equal(UINT64_C(1) << 32, 0));
	HOLDS(assert_int_not_equal(1, 2));
	FAILS(assert_int_not_equal(2, 2));
	HOLDS(assert_ptr_equal(&bad, &bad));
	FAILS(assert_ptr_equal(&bad, NULL));
	HOLDS(assert_ptr_not_equal(&bad, NULL));
	FAILS(assert_ptr_not_equal(&bad, &bad));
	HOLDS(assert_in_range(5, 5, 5));
	FAILS(assert_in_range(4, 5, 6));
	FAILS(assert_in_range(7, 5, 6));
	HOLDS(assert_string_equal("ab", "ab"));
	FAILS(assert_string_equal("ab", "ac"));
	HOLDS(assert_string_not_equal("ab", "ac"));
	FAILS(assert_string_not_equal("ab", "ab"));
	HOLDS(assert_memory_equal("ab", "ac", 1));
	FAILS(assert_memory_equal("ab", "ac", 2));
	HOLDS(assert_memory_not_equal("ab", "ac", 2));
	FAILS(assert_memory_not_equal("ab", "ac", 1));
	FAILS(fail());
	HOLDS(group(passes, NULL));
	FAILS(group(fails, NULL));
	FAILS(group(passes, bad_setup));
	HOLDS(group(skips, NULL));
	printf(bad ? "[  FAILED  ]\n" : "[  PASSED  ] 1 test(s).\n");
	return bad;
}
