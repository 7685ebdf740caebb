/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * As much of cmocka's interface as the unit tests use, for machines that Debian has no cmocka for
 * among its cross packages: make unit-arm64. The first assertion that fails ends the program with
 * status 1. tests/unit/test_shim_arm64.c shows that each one can fail.
 */
#ifndef RF_TESTS_SHIM_CMOCKA_H
#define RF_TESTS_SHIM_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
	const char *name;
	void (*test)(void **state);
	int (*setup)(void **state);
	int (*teardown)(void **state);
};

#define cmocka_unit_test(f) cmocka_unit_test_setup_teardown(f, NULL, NULL)
#define cmocka_unit_test_setup(f, setup) cmocka_unit_test_setup_teardown(f, setup, NULL)
#define cmocka_unit_test_setup_teardown(f, setup, teardown) { #f, f, setup, teardown }
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
	rf_shim_run(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

static jmp_buf rf_shim_skipped;

__attribute__((format(printf, 3, 4), noreturn, unused)) static void
rf_shim_fail(const char *where, int line, const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\n%s:%d: error: Failure!\n", where, line);
	exit(1);
}

#define fail_msg(...) rf_shim_fail(__FILE__, __LINE__, __VA_ARGS__)
#define fail() fail_msg("fail()")
#define skip() longjmp(rf_shim_skipped, 1)
#define print_message(...) printf(__VA_ARGS__)

#define rf_shim_assert(ok, ...)                                                                    \
	do {                                                                                       \
		if (!(ok))                                                                         \
			fail_msg(__VA_ARGS__);                                                     \
	} while (0)
#define assert_true(x) rf_shim_assert(x, "%s", #x)
#define assert_false(x) rf_shim_assert(!(x), "not %s", #x)
#define assert_null(x) rf_shim_assert(!(x), "%s is not NULL", #x)
#define assert_non_null(x) rf_shim_assert(x, "%s is NULL", #x)

/* Compared as cmocka does: the values, made as wide as they can be. */
#define rf_shim_compare(a, op, b)                                                                  \
	do {                                                                                       \
		uintmax_t rf_a = (uintmax_t)(a), rf_b = (uintmax_t)(b);                            \
		rf_shim_assert(rf_a op rf_b, "not %s %s %s: %#jx, %#jx", #a, #op, #b, rf_a, rf_b); \
	} while (0)
#define assert_int_equal(a, b) rf_shim_compare(a, ==, b)
#define assert_int_not_equal(a, b) rf_shim_compare(a, !=, b)
#define assert_ptr_equal(a, b) rf_shim_compare((uintptr_t)(a), ==, (uintptr_t)(b))
#define assert_ptr_not_equal(a, b) rf_shim_compare((uintptr_t)(a), !=, (uintptr_t)(b))
#define assert_in_range(x, min, max)                                                               \
	do {                                                                                       \
		uintmax_t rf_x = (uintmax_t)(x), rf_min = (min), rf_max = (max);                   \
		rf_shim_assert(rf_x >= rf_min && rf_x <= rf_max, "%s is %#jx, not %s to %s", #x,   \
			       rf_x, #min, #max);                                                  \
	} while (0)
#define assert_string_equal(a, b)                                                                  \
	do {                                                                                       \
		const char *rf_a = (a), *rf_b = (b);                                               \
		rf_shim_assert(!strcmp(rf_a, rf_b), "\"%s\" is not \"%s\"", rf_a, rf_b);           \
	} while (0)
#define assert_string_not_equal(a, b) rf_shim_assert(strcmp(a, b), "both are \"%s\"", (a))
#define assert_memory_equal(a, b, n)                                                               \
	rf_shim_assert(!memcmp(a, b, n), "%s and %s differ within %s bytes", #a, #b, #n)
#define assert_memory_not_equal(a, b, n)                                                           \
	rf_shim_assert(memcmp(a, b, n), "%s and %s are the same for %s bytes", #a, #b, #n)

static inline int rf_shim_run(const struct CMUnitTest *tests, size_t count,
			      int (*before)(void **state), int (*after)(void **state))
{
	static void *group, *state;
	static size_t i, skipped;

	rf_shim_assert(!before || !before(&group), "the group's setup");
	for (i = 0; i < count; i++) {
		printf("[ RUN      ] %s\n", tests[i].name);
		fflush(stdout);
		state = group;
		rf_shim_assert(!tests[i].setup || !tests[i].setup(&state), "setup");
		if (!setjmp(rf_shim_skipped)) {
			tests[i].test(&state);
			printf("[       OK ] %s\n", tests[i].name);
		} else {
			printf("[  SKIPPED ] %s\n", tests[i].name);
			skipped++;
		}
		rf_shim_assert(!tests[i].teardown || !tests[i].teardown(&state), "teardown");
	}
	rf_shim_assert(!after || !after(&group), "the group's teardown");
	printf("[  PASSED  ] %zu test(s).\n", count - skipped);
	if (skipped)
		printf("[  SKIPPED ] %zu test(s), listed above.\n", skipped);
	return 0;
}

#endif
