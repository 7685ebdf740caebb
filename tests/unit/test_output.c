// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a person sees of what others said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/output.h"

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* Each text and each name in it. */
static unsigned int look(json_t *v)
{
	unsigned int texts = 0;
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(v)) {
		assert_true(is_printable(json_string_value(v)));
		texts++;
	}
	json_array_foreach(v, i, member) texts += look(member);
	json_object_foreach(v, key, member)
	{
		assert_true(is_printable(key));
		texts += look(member);
	}
	return texts;
}

static void answers_are_made_safe(void **state)
{
	static const char text[] = "{\"guards\":{\"\\u001b]0;t\\u0007x\":\"\\u001b[2J\\u001b[8m\"},"
				   "\"a\":[\"\\u009bm\","
				   "[{\"b\\nc\":\"d\\re\"}],1,2.5,true,null],\"state\":\"sealed\"}";
	json_t *v = json_loads(text, 0, NULL), *safe;

	assert_non_null(v);
	safe = rf_safe_json(v);
	assert_int_equal(look(safe), 4);
	assert_string_equal(json_string_value(json_object_get(safe, "state")), "sealed");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(safe, "guards"), "?]0;t?x")),
		"?[2J?[8m");
	assert_int_equal(json_integer_value(json_array_get(json_object_get(safe, "a"), 2)), 1);
	assert_true(json_is_null(json_array_get(json_object_get(safe, "a"), 5)));
	json_decref(safe);
	json_decref(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_made_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
