// SPDX-License-Identifier: LGPL-2.1-or-later
/* What policy, log and event ids make of a judgement. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define SITE (IMAGE_GPA + 0x1500)

static int setup(void **state)
{
	int err = fake_setup(state);

	if (err)
		return err;
	fake_sealed();
	fake.store = (struct rf_store){ .rip = rf_gva_of(IMAGE_GVA + 0x2002),
					.size = 1,
					.operand = rf_gva_of(TABLE_GVA),
					.target = rf_gva_of(TABLE_GVA) };
	fake.patch = (struct rf_patch_result){
		.verdict = RF_PATCH_STEP, .kind = RF_SITE_JUMP_LABEL, .at = 0x1400, .offset = 1
	};
	return 0;
}

static void assert_line(const char *verdict, const char *rule, const char *outcome)
{
	json_t *line = fake_line(0);

	assert_string_equal(fake_text(line, "verdict"), verdict);
	assert_string_equal(fake_text(line, "rule"), rule);
	assert_string_equal(fake_text(line, "outcome"), outcome);
}

static void observe(void **state)
{
	struct rf_msg_event ev = fake_write_event(TABLE, "1", 1);

	guest.policy.mode = RF_MODE_OBSERVE;
	guest.policy.on_denied = RF_ON_DENIED_KILL; /* observing ends nothing */
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_line("detected", "rodata-is-never-written", "applied");
	ev = fake_write_event(SITE, "\x90", 1);
	fake.patch.verdict = RF_PATCH_BAD_STEP;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_line("detected", "text-illegal-step", "applied");
	assert_int_equal(rf_audit_count(guest.audit, RF_WORD_DETECTED), 2);
}

/* The kernel's patching function, at its begin. */
static struct rf_msg_event patch_event(void)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_TRAP);

	ev.trap.kind = RF_TRAP_POKE;
	ev.write.gpa = SITE;
	ev.write.len = 1;
	ev.write.bytes[0] = 0xcc;
	ev.regs.gpr[6] = IMAGE_GVA + 0x1500;
	return ev;
}

static void patch_denied(void **state)
{
	struct rf_msg_event ev = patch_event();
	size_t lines = fake_lines();

	assert_int_equal(fake_judge(&ev), RF_VERDICT_SETTLE);
	assert_int_equal(fake_lines(), lines);
	fake.patch.verdict = RF_PATCH_BAD_INSN;
	ev = patch_event();
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 0);
	assert_line("blocked", "text-illegal-instruction",
		    "dropped: the kernel's patching function returned without it");
	/* Again: what is on record. */
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 0);
	assert_int_equal(fake_lines(), lines + 1);
	guest.policy.on_denied_patch = RF_ON_DENIED_PATCH_FAULT;
	ev = patch_event();
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 13);
	assert_int_equal(fake_verdict()->rip, ev.regs.rip);
	assert_line("blocked", "text-illegal-instruction",
		    "general protection fault at the instruction");
	guest.policy.on_denied = RF_ON_DENIED_KILL;
	ev = patch_event();
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
}

static void denied_kills(void **state)
{
	struct rf_msg_event ev = fake_write_event(TABLE, "1", 1);

	guest.policy.on_denied = RF_ON_DENIED_KILL;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
	assert_line("blocked", "rodata-is-never-written", "the VM is ended");
	ev = fake_write_event(SITE, "\xcc", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_SETTLE);
}

static void policy_makes_no_sense(void **state)
{
	struct rf_msg_event ev = fake_write_event(SITE, "\xcc", 1);

	guest.policy.mode = 0;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("blocked", "undecided", "page fault at the store");
}

/* What cannot be recorded is not let through; what is denied stays denied. */
static void log_is_full(void **state)
{
	struct rf_msg_event ev;

	fake_log_full();
	guest.policy.mode = RF_MODE_OBSERVE;
	ev = fake_write_event(TABLE, "1", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
	guest.policy.mode = RF_MODE_ENFORCE;
	ev = fake_write_event(TABLE, "1", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 14);
	assert_int_equal(fake_verdict()->cr2, TABLE_GVA);
}

static void asked_again(void **state)
{
	struct rf_msg_event ev = fake_write_event(SITE, "\xcc", 1);
	size_t lines;

	assert_int_equal(fake_judge(&ev), RF_VERDICT_SETTLE);
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	lines = fake_lines();
	assert_int_equal(fake_judge(&ev), RF_VERDICT_SETTLE);
	assert_int_equal(fake_lines(), lines);
	ev = fake_write_event(TABLE, "1", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 14);
	assert_int_equal(fake_verdict()->cr2, TABLE_GVA);
	assert_int_equal(fake_lines(), lines + 1);
}

/* The fence is gone before the verdict: nothing was applied. */
static void fence_gone(void **state)
{
	struct rf_msg_event ev = fake_write_event(SITE, "\xcc", 1);

	fake.verdict_err = -ECONNRESET;
	assert_int_equal(rf_guest_event(&guest, &ev), -ECONNRESET);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
		T(observe),	T(patch_denied), T(denied_kills), T(policy_makes_no_sense),
		T(log_is_full), T(asked_again),	 T(fence_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
