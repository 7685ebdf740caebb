// SPDX-License-Identifier: LGPL-2.1-or-later
/* A policy with every key, changed by chance: taken, or refused with the place where it is
 * wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/keys.h"
#include "tests/unit/mutate.h"

/* Every key with its default: what is mutated. */
static size_t write_all(char *out, size_t room)
{
	size_t len = (size_t)snprintf(out, room, "# all keys\n");
	const char *section = "";
	char value[RF_KEY_PATH];

	for (size_t i = 0; i < rf_keys_count; i++) {
		const struct rf_key *k = &rf_keys[i];

		if (k->section && strcmp(section, k->section) != 0)
			len += (size_t)snprintf(out + len, room - len, "%s:\n", k->section);
		section = k->section ?: "";
		len += (size_t)snprintf(out + len, room - len, "%s%s: %s\n", k->section ? "  " : "",
					k->name, rf_key_value(k, k->standard, value));
	}
	return len;
}

static void all_keys(void **state)
{
	char whole[4096];

	mutated_policies("all keys", whole, write_all(whole, sizeof(whole)), MUTATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_keys) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
