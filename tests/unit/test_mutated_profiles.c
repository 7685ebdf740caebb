// SPDX-License-Identifier: LGPL-2.1-or-later
/* The policies that come with it, changed by chance: taken, or refused with the place where it is
 * wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/file.h"
#include "tests/unit/mutate.h"

static void profiles(void **state)
{
	static const char *const names[] = { "default", "observe", "strict" };
	char path[64], whole[8192];
	size_t len;

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "policy/profiles/%s.yaml", names[i]);
		assert_int_equal(rf_file_read(path, whole, sizeof(whole), &len), 0);
		mutated_policies(names[i], whole, len, MUTATED / 3 + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(profiles) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
