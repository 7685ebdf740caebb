// SPDX-License-Identifier: LGPL-2.1-or-later
/* Instructions KVM could not emulate: which of their bytes are sealed is for the monitor to find
 * out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define PAGE UINT64_C(0xffffc90000000000) /* mapped as a case needs it */
#define RODATA (IMAGE_GPA + RODATA_AT)

static int setup(void **state)
{
	int err = fake_setup(state);

	if (err)
		return err;
	fake_sealed();
	fake.store = (struct rf_store){ .rip = rf_gva_of(IMAGE_GVA + 0x2004),
					.insn_len = 4,
					.text = "cmpxchg16b xmmword ptr [rdi]" };
	fake.store.before.gpr[7] = 0x77;
	fake.store.before.rflags = 0x246;
	return 0;
}

static uint32_t fails_at(uint64_t gva, uint32_t size)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_EMULATION);

	fake.store.operand = fake.store.target = rf_gva_of(gva);
	fake.store.size = size;
	return fake_judge(&ev);
}

static void assert_denied(uint64_t cr2, uint64_t gpa, const char *rule)
{
	const struct rf_msg_verdict *v = fake_verdict();
	json_t *line = fake_line(0);
	char text[32];

	assert_int_equal(v->verdict, RF_VERDICT_DENY);
	assert_int_equal(v->vector, 14);
	assert_int_equal(v->cr2, cr2);
	assert_int_equal(v->rip, fake.store.rip.v);
	assert_int_equal(v->gpr[7], 0x77);
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)gpa);
	assert_string_equal(fake_text(line, "kind"), "emulation");
	assert_string_equal(fake_text(line, "verdict"), "blocked");
	assert_string_equal(fake_text(line, "rule"), rule);
	assert_string_equal(fake_text(line, "gpa"), text);
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)(gpa - IMAGE_GPA + IMAGE_GVA));
	assert_string_equal(fake_text(json_object_get(line, "target"), "addr"), text);
}

static void outside(void **state)
{
	size_t lines = fake_lines();

	assert_int_equal(fails_at(OTHER_GVA + 0x100, 16), RF_VERDICT_NOT_OURS);
	assert_int_equal(fake_lines(), lines);
	assert_int_equal(fake.seen.gpa.v, RF_STORE_GPA_UNKNOWN);
	assert_int_equal(fake.seen.len, 0);
	assert_false(fake.seen.rip_after);
	/* Nor does it matter in either mode. */
	guest.policy.mode = RF_MODE_OBSERVE;
	guest.policy.on_denied = RF_ON_DENIED_KILL;
	assert_int_equal(fails_at(OTHER_GVA + 0x100, 16), RF_VERDICT_NOT_OURS);
	/* Not even when the log is full: there is nothing to record. */
	fake_log_full();
	assert_int_equal(fails_at(OTHER_GVA + 0x100, 16), RF_VERDICT_NOT_OURS);
}

static void sealed(void **state)
{
	assert_int_equal(fails_at(IMAGE_GVA + RODATA_AT + 0x40, 16), RF_VERDICT_DENY);
	assert_denied(IMAGE_GVA + RODATA_AT + 0x40, RODATA + 0x40, "rodata-is-never-written");
	assert_int_equal(fake_verdict()->error_code, 3);
	assert_int_equal(fails_at(IMAGE_GVA + 0x1000, 32), RF_VERDICT_DENY);
	assert_denied(IMAGE_GVA + 0x1000, IMAGE_GPA + 0x1000, "text-store-no-patcher-uses");
	assert_int_equal(fake.judged, 0);
}

/* There is no effect that could be applied, so observing denies it too. */
static void observed(void **state)
{
	guest.policy.mode = RF_MODE_OBSERVE;
	guest.policy.on_denied = RF_ON_DENIED_KILL;
	assert_int_equal(fails_at(IMAGE_GVA + RODATA_AT, 16), RF_VERDICT_DENY);
	guest.policy.mode = RF_MODE_ENFORCE;
	assert_int_equal(fails_at(IMAGE_GVA + RODATA_AT, 16), RF_VERDICT_KILL);
}

/* The operand begins in a page of its own and ends in a sealed one, which lies anywhere else in
 * memory. */
static void into_sealed(void **state)
{
	fake_map(PAGE, OTHER_GPA, 0x1000, true, false);
	fake_map(PAGE + 0x1000, RODATA + 0x1000, 0x1000, false, false);
	assert_int_equal(fails_at(PAGE + 0xff8, 16), RF_VERDICT_DENY);
	assert_denied(PAGE + 0x1000, RODATA + 0x1000, "rodata-is-never-written");
	assert_int_equal(fake_verdict()->error_code, 3);
	assert_int_equal(json_integer_value(json_object_get(fake_line(0), "len")), 8);
	/* One byte less and it does not reach it. */
	assert_int_equal(fails_at(PAGE + 0xff0, 16), RF_VERDICT_NOT_OURS);
}

static void out_of_sealed(void **state)
{
	fake_map(PAGE, RODATA + 0x1000, 0x1000, true, false);
	fake_map(PAGE + 0x1000, OTHER_GPA, 0x1000, true, false);
	assert_int_equal(fails_at(PAGE + 0xff8, 16), RF_VERDICT_DENY);
	assert_denied(PAGE + 0xff8, RODATA + 0x1ff8, "rodata-is-never-written");
	assert_int_equal(fake_verdict()->error_code, 3 | 8); /* the alias is writable */
}

/* Neighbours in memory are not neighbours to the guest. */
static void beside_sealed(void **state)
{
	fake_map(PAGE, RODATA - 0x1000, 0x1000, true, false);
	fake_map(PAGE + 0x1000, OTHER_GPA, 0x1000, true, false);
	assert_int_equal(fails_at(PAGE + 0xff8, 16), RF_VERDICT_NOT_OURS);
}

/* xsave: how much it writes depends on the guest's state. */
static void of_no_fixed_size(void **state)
{
	assert_int_equal(fails_at(IMAGE_GVA + RODATA_AT + 0x40, 0), RF_VERDICT_DENY);
	assert_denied(IMAGE_GVA + RODATA_AT + 0x40, RODATA + 0x40, "rodata-is-never-written");
	fake_map(PAGE, OTHER_GPA, 0x1000, true, false);
	fake_map(PAGE + 0x2000, RODATA, 0x1000, false, false); /* a hole between them */
	assert_int_equal(fails_at(PAGE + 0xfc0, 0), RF_VERDICT_DENY);
	assert_denied(PAGE + 0x2000, RODATA, "rodata-is-never-written");
	assert_int_equal(fails_at(OTHER_GVA + 0x100, 0), RF_VERDICT_NOT_OURS);
}

/* Introspection has moved the target on already, as the first page is not mapped. */
static void first_page_missing(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_EMULATION);

	fake_map(PAGE + 0x1000, RODATA, 0x1000, false, false);
	fake.store.operand = rf_gva_of(PAGE + 0xff8);
	fake.store.target = rf_gva_of(PAGE + 0x1000);
	fake.store.size = 16;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_denied(PAGE + 0x1000, RODATA, "rodata-is-never-written");
}

static void at_the_end_of_the_space(void **state)
{
	fake_map(UINT64_C(0xfffffffffffff000), OTHER_GPA, 0x1000, true, false);
	static const uint32_t sizes[] = { 8, 15, 16, 0 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(fails_at(UINT64_C(0xfffffffffffffff0), sizes[i]),
				 RF_VERDICT_NOT_OURS);
}

/* What it would have written is not known: denied as undecided, the registers as they are. */
static void not_found(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_EMULATION);
	json_t *line;

	fake.store_err = -ENOENT;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 13);
	assert_int_equal(fake_verdict()->error_code, 0);
	assert_int_equal(fake_verdict()->rip, ev.regs.rip);
	assert_memory_equal(fake_verdict()->gpr, ev.regs.gpr, sizeof(ev.regs.gpr));
	line = fake_line(0);
	assert_string_equal(fake_text(line, "rule"), "undecided");
	assert_string_equal(fake_text(line, "outcome"),
			    "general protection fault (instruction not found)");
}

static void not_mapped(void **state)
{
	assert_int_equal(fails_at(PAGE, 16), RF_VERDICT_DENY);
	assert_string_equal(fake_text(fake_line(0), "rule"), "undecided");
	assert_int_equal(fake_verdict()->cr2, PAGE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
		T(outside),
		T(sealed),
		T(observed),
		T(into_sealed),
		T(out_of_sealed),
		T(beside_sealed),
		T(of_no_fixed_size),
		T(first_page_missing),
		T(at_the_end_of_the_space),
		T(not_found),
		T(not_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
