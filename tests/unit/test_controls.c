// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which bits of CR0 and CR4 the monitor pins, and what it makes of one that was cleared. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define WP (UINT64_C(1) << 16)
#define ET (UINT64_C(1) << 4)
#define PGE (UINT64_C(1) << 7)
#define SMEP (UINT64_C(1) << 20)
#define SMAP (UINT64_C(1) << 21)

/* In module space, mapped to memory of nobody's seal. */
#define CODE UINT64_C(0xffffffffc0001000)

static int setup(void **state)
{
	int err = fake_setup(state);

	if (!err) {
		fake_sealed();
		fake_map(CODE, OTHER_GPA, 0x1000, true, true);
	}
	return err;
}

/* The bytes end at RIP, 0x100 into the code. */
static struct rf_msg_event cleared(const char *code, size_t len, uint64_t cr0_bits,
				   uint64_t cr4_bits)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_CR);

	memset(fake.ram + (OTHER_GPA - IMAGE_GPA), 0x90, 0x100);
	memcpy(fake.ram + (OTHER_GPA - IMAGE_GPA) + 0x100 - len, code, len);
	ev.regs.rip = CODE + 0x100;
	ev.regs.cr4 = 0x3606f0;
	ev.regs.cr0 = 0x80050033;
	ev.cr.cr0_bits = cr0_bits;
	ev.cr.cr4_bits = cr4_bits;
	ev.cr.cr0 = 0x80050033 & ~cr0_bits;
	ev.cr.cr4 = 0x3606f0 & ~cr4_bits;
	ev.cr.interrupted = 1;
	ev.regs.gpr[0] = ev.regs.gpr[9] = cr4_bits ? ev.cr.cr4 : ev.cr.cr0;
	return ev;
}
#define CLEARED(code, cr0, cr4) cleared(code, sizeof(code) - 1, cr0, cr4)

static void assert_line(const char *verdict, const char *detail)
{
	json_t *line = fake_line(0);

	assert_string_equal(fake_text(line, "kind"), "control-register");
	assert_string_equal(fake_text(line, "rule"), "control-register-is-pinned");
	assert_string_equal(fake_text(line, "verdict"), verdict);
	assert_string_equal(fake_text(line, "detail"), detail);
}

static void seal_again(void)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_RESET);

	assert_int_equal(rf_guest_event(&guest, &ev), 0);
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = 0;
	fake_sealed();
}

static void what_is_pinned(void **state)
{
	assert_int_equal(fake.pin.cr0, WP);
	assert_int_equal(fake.pin.cr4, 0xb01820);
	guest.policy.pin_pge = true;
	seal_again();
	assert_int_equal(fake.pin.cr4, 0xb01820 | PGE);
	guest.policy.pin_control = false;
	seal_again();
	assert_int_equal(fake.pin.cr0 | fake.pin.cr4, 0);
	assert_in_range(fake.pin.count, 10, RF_PIN_MAX);
}

static void at_once(void **state)
{
	struct rf_msg_event ev = CLEARED("\x0f\x22\xe0", 0, SMEP | SMAP); /* mov %rax, %cr4 */

	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 13);
	assert_int_equal(fake_verdict()->error_code, 0);
	assert_int_equal(fake_verdict()->rip, CODE + 0x100 - 3);
	assert_memory_equal(fake_verdict()->gpr, ev.regs.gpr, sizeof(ev.regs.gpr));
	assert_line("undone", "CR4.SMEP CR4.SMAP cleared: CR4 <- 0x606f0");
	assert_string_equal(fake_text(fake_line(0), "outcome"),
			    "set again, general protection fault at the mov");
	assert_string_equal(fake_text(json_object_get(fake_line(0), "target"), "symbol"), "CR4");
	assert_string_equal(fake_text(json_object_get(fake_line(0), "writer"), "addr"),
			    "0xffffffffc00010fd");
}

static void forms_of_mov(void **state)
{
	static const struct {
		const char *code;
		size_t len;
		uint64_t cr0_bits, cr4_bits;
		uint64_t length; /* 0: none of them */
	} cases[] = {
		{ "\x0f\x22\xc0", 3, WP, 0, 3 },	/* mov %rax, %cr0 */
		{ "\x41\x0f\x22\xc1", 4, WP, 0, 4 }, /* mov %r9, %cr0 */
		{ "\x49\x0f\x22\xe1", 4, 0, SMEP, 4 }, /* REX.W as well */
		{ "\x0f\x22\x20", 3, 0, SMEP, 3 },	/* ModRM.mod means nothing */
		{ "\x0f\x22\xe1", 3, 0, SMEP, 0 },	/* of rcx, which holds something else */
		{ "\x40\x0f\x22\xe1", 4, 0, SMEP, 0 },
		{ "\x45\x0f\x22\xe1", 4, 0, SMEP, 0 }, /* CR12 */
		{ "\x0f\x22\xc0", 3, 0, SMEP, 0 },	/* CR0 */
		{ "\x0f\x20\xe0", 3, 0, SMEP, 0 },	/* from CR4 */
		{ "\x0f\x01\xf0", 3, WP, 0, 0 },	/* lmsw */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rf_msg_event ev = cleared(cases[i].code, cases[i].len, cases[i].cr0_bits,
						 cases[i].cr4_bits);

		ev.regs.gpr[1] = 1;
		assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
		assert_int_equal(fake_verdict()->vector, cases[i].length ? 13 : 0);
		assert_int_equal(fake_verdict()->rip, CODE + 0x100 - cases[i].length);
		assert_string_equal(fake_text(fake_line(0), "verdict"),
				    cases[i].length ? "undone" : "detected");
	}
}

/* ET reads as set whatever was loaded. */
static void extension_type(void **state)
{
	struct rf_msg_event ev = CLEARED("\x0f\x22\xc0", WP, 0);

	ev.regs.gpr[0] &= ~ET;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 13);
	ev = CLEARED("\x0f\x22\xe0", 0, SMEP);
	ev.regs.gpr[0] ^= ET;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 0);
}

static void late(void **state)
{
	struct rf_msg_event ev = CLEARED("\x0f\x22\xe0", 0, SMEP);

	ev.cr.interrupted = 0;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 0);
	assert_line("detected", "CR4.SMEP cleared: CR4 <- 0x2606f0; the guest ran on for a while");
	assert_string_equal(fake_text(fake_line(0), "outcome"), "set again");
	/* Two registers take two instructions. */
	ev = CLEARED("\x0f\x22\xe0", WP, SMEP);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 0);
	assert_line("detected",
		    "CR0.WP CR4.SMEP cleared: CR4 <- 0x2606f0; the guest ran on for a while");
	/* No code there. */
	ev = CLEARED("\x0f\x22\xe0", 0, SMEP);
	ev.regs.rip = 2;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 0);
}

static void by_policy(void **state)
{
	struct rf_msg_event ev = CLEARED("\x0f\x22\xe0", 0, SMEP);

	guest.policy.on_denied = RF_ON_DENIED_KILL;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
	assert_line("undone", "CR4.SMEP cleared: CR4 <- 0x2606f0");
	guest.policy.mode = RF_MODE_OBSERVE;
	ev = CLEARED("\x0f\x22\xe0", 0, SMEP);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_line("detected", "CR4.SMEP cleared: CR4 <- 0x2606f0");
}

static void names(void **state)
{
	char out[RF_CONTROL_NAMES], small[10];

	rf_control_names(UINT64_MAX, UINT64_MAX, out, sizeof(out));
	assert_string_equal(
		out, "CR0.WP CR4.PAE CR4.PGE CR4.UMIP CR4.LA57 CR4.SMEP CR4.SMAP CR4.CET");
	rf_control_names(UINT64_MAX, UINT64_MAX, small, sizeof(small));
	assert_string_equal(small, "CR0.WP CR");
	rf_control_names(0, 0, out, sizeof(out));
	assert_string_equal(out, "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
		T(what_is_pinned), T(at_once), T(forms_of_mov), T(extension_type),
		T(late),	   T(by_policy), T(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
