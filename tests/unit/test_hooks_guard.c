/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard of the kernel's hooks: who is told of, how often, and what the policy makes of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define OUTSIDE UINT64_C(0xffffffffa0000100)   /* of no module that is listed */
#define IN_MODULE UINT64_C(0xffffffffc0000100) /* "evil" */
#define FUNCTION (IMAGE_GVA + 0x2000)	       /* commit_creds */

static int setup(void **state)
{
	int err = fake_setup(state);

	if (!err)
		fake_sealed();
	return err;
}

static void sweep(void)
{
	struct rf_budget outer = rf_unit_begin(&guest, &rf_guard_hooks.sweep_unit);

	assert_int_equal(rf_guard_hooks.sweep(&guest, 1000), 0);
	assert_int_equal(rf_unit_end(&guest, &rf_guard_hooks.sweep_unit, &outer), 0);
}

static void hook(uint64_t kind, uint64_t object, uint64_t function)
{
	fake.hooks[fake.hooks_count++] = (struct rf_hook){ kind, object, OUTSIDE, function, 2 };
}

static void told_once(void **state)
{
	json_t *line;

	sweep();
	assert_int_equal(fake_count("kind", "hook"), 0);
	hook(RF_HOOK_FTRACE, 1, FUNCTION);
	hook(RF_HOOK_KPROBE, 1, FUNCTION);
	for (int i = 0; i < 3; i++)
		sweep();
	assert_int_equal(fake_count("kind", "hook"), 2);
	line = fake_line(0);
	assert_string_equal(fake_text(line, "verdict"), "detected");
	assert_string_equal(fake_text(line, "rule"), "handler-outside-image");
	assert_string_equal(fake_text(json_object_get(line, "target"), "symbol"), "commit_creds");
	assert_string_equal(fake_text(json_object_get(line, "handler"), "addr"),
			    "0xffffffffa0000100");
	assert_non_null(strstr(fake_text(line, "detail"), "2 more functions"));
	/* Gone, and back. */
	fake.hooks_count = 0;
	sweep();
	hook(RF_HOOK_FTRACE, 1, FUNCTION);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 3);
	/* The next kernel's are the next kernel's. */
	fake_reset();
	fake_sealed();
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 4);
}

static void whose(void **state)
{
	hook(RF_HOOK_FTRACE, 1, 0);
	sweep();
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "no listed module owns"));
	fake.bpf = "bpf_prog_x";
	hook(RF_HOOK_FTRACE, 2, 0);
	sweep();
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "bpf_prog_x"));
	guest.policy.patches[RF_PATCH_WORD_BPF] = RF_PATCH_RULE_ALLOW;
	hook(RF_HOOK_FTRACE, 3, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 2);
	fake.bpf = NULL;
	hook(RF_HOOK_TRACEPOINT, 4, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 3);
	guest.policy.patches[RF_PATCH_WORD_TRACEPOINTS] = RF_PATCH_RULE_ALLOW;
	hook(RF_HOOK_TRACEPOINT, 5, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 3);
	guest.policy.patches[RF_PATCH_WORD_KPROBES] = RF_PATCH_RULE_ALLOW;
	hook(RF_HOOK_KRETPROBE, 6, 0);
	hook(RF_HOOK_STATIC_CALL, 7, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 4);
	/* A module that is named, by the guest's list. */
	hook(RF_HOOK_FTRACE, 8, 0);
	fake.hooks[fake.hooks_count - 1].handler = IN_MODULE;
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 5);
	assert_string_equal(fake_text(json_object_get(fake_line(0), "handler"), "module"), "evil");
	strcpy(guest.policy.owners[0], "evil");
	guest.policy.owners_count = 1;
	hook(RF_HOOK_FTRACE, 9, 0);
	fake.hooks[fake.hooks_count - 1].handler = IN_MODULE;
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 5);
}

/* On its way out a tracer is off the list before the text is changed. */
static void unlisted(void **state)
{
	hook(RF_HOOK_UNLISTED, OUTSIDE, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 0);
	fake.hooks_count = 0;
	sweep();
	hook(RF_HOOK_UNLISTED, OUTSIDE, 0);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 0);
	sweep();
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 1);
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "no list of the kernel's"));
}

/* However many there are, and however often they come and go. */
static void many(void **state)
{
	for (uint64_t i = 0; i < 1100; i++)
		hook(RF_HOOK_FTRACE, i + 1, FUNCTION);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 1024);
	for (int i = 0; i < 4; i++) {
		uint32_t n = fake.hooks_count;

		fake.hooks_count = 0;
		sweep();
		fake.hooks_count = n;
		sweep();
	}
	assert_int_equal(fake_count("kind", "hook"), 1025);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "not told one by one any more");
}

static void unread(void **state)
{
	hook(RF_HOOK_FTRACE, 1, FUNCTION);
	sweep();
	fake.hooks_err = -EFAULT;
	for (int i = 0; i < 6; i++)
		sweep();
	assert_int_equal(fake_count("kind", "endless"), 1);
	assert_string_equal(fake_text(fake_line(0), "rule"), "guest-lists-end");
	/* What was not seen need not be gone. */
	fake.hooks_err = 0;
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 1);
	for (int i = 0; i < 100; i++) {
		fake.hooks_err = i % 4 == 3 ? 0 : -EFAULT;
		sweep();
	}
	assert_int_equal(fake_count("kind", "endless"), 16);
}

/* What the sweeper says names objects alone, and means nothing by itself. */
static void said_falsely(void **state)
{
	uint64_t values[28] = { 7, 8, 9 };

	for (uint32_t kind = 1; kind < 20; kind++)
		if (kind != RF_HOOK_KINDS)
			assert_int_equal(rf_guard_hooks.found(&guest, kind, values, 28), 0);
	assert_int_equal(rf_guard_hooks.found(&guest, 0, values, 28), 0);
	assert_int_equal(rf_guard_hooks.found(&guest, 0, values, 3), 0);
	assert_int_equal(fake_count("kind", "hook"), 0);
}

static void without_a_table(void **state)
{
	fake_reset();
	fake.textpatch_err = -ENOENT;
	fake_sealed();
	hook(RF_HOOK_FTRACE, 1, FUNCTION);
	sweep();
	assert_int_equal(fake_count("kind", "hook"), 0);
	assert_non_null(rf_guard_hooks.lacks(&guest));
	assert_int_equal(fake.hook_tables, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(told_once, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(whose, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(unlisted, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(many, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(unread, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(said_falsely, setup, fake_teardown),
		cmocka_unit_test_setup_teardown(without_a_table, setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
