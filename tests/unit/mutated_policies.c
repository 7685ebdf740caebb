// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/mutate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

struct tally {
	unsigned int accepted, refused, far;
};

static void take_policy(const char *text, size_t len, struct tally *t)
{
	struct rf_policy_diag d = { 0 };
	struct rf_policy p;
	int err = rf_policy_parse(text, len, &d, &p);

	if (!err) {
		t->accepted++;
		return;
	}
	if (err != -EBADMSG || !d.text[0] || d.line < 1 || d.column < 1 ||
	    d.line > mutate_lines(text, len) + 1)
		fail_msg("%d, %u:%u: %s\n%.*s", err, d.line, d.column, d.text, (int)len, text);
	t->far += d.line > 1;
	t->refused++;
}

void mutated_policies(const char *name, const char *whole, size_t all, unsigned int times)
{
	struct tally t = { 0 };
	char text[8192];

	assert_in_range(all, 32, sizeof(text) - 64);
	for (unsigned int i = 0; i < times; i++) {
		memcpy(text, whole, all);
		take_policy(text, mutate(text, all, sizeof(text)), &t);
	}
	print_message("%s: %u accepted, %u refused, %u of them behind the first line\n", name,
		      t.accepted, t.refused, t.far);
	assert_int_equal(t.accepted + t.refused, times);
	assert_true(t.accepted > times / 20 && t.far > times / 20);
}
