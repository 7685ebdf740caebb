// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which MSRs the monitor pins, and what it makes of a write to one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define SYSENTER_ESP 0x175u
#define DEBUGCTL 0x1d9u
#define SPEC_CTRL 0x48u
#define SYSTEM_TIME 0x4b564d01u
#define HV_HYPERCALL 0x40000001u
#define EFER 0xc0000080u
#define SFMASK 0xc0000084u

static int setup(void **state)
{
	int err = fake_setup(state);

	if (!err)
		fake_sealed();
	return err;
}

static struct rf_msg_event msr_event(uint32_t index, uint64_t value, uint64_t pinned)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_MSR);

	ev.msr.index = index;
	ev.msr.value = value;
	ev.msr.pinned = pinned;
	return ev;
}

static void assert_line(const char *verdict, const char *rule)
{
	json_t *line = fake_line(0);

	assert_string_equal(fake_text(line, "kind"), "msr");
	assert_string_equal(fake_text(line, "verdict"), verdict);
	assert_string_equal(fake_text(line, "rule"), rule);
}

static bool has(uint32_t index)
{
	for (uint32_t i = 0; i < fake.pin.count; i++)
		if (fake.pin.pins[i].index == index)
			return true;
	return false;
}

/* Bits that an attacker with ring 0 would set or clear, and in none of them a guest's own. */
static void what_stays(void **state)
{
	static const struct {
		uint32_t index;
		uint64_t bits;
	} kept[] = {
		{ 0x1b, UINT64_C(0xffffff800) },	 /* APICBASE: where, and on */
		{ 0x174, UINT64_MAX },			 /* SYSENTER_CS */
		{ 0x176, UINT64_MAX },			 /* SYSENTER_EIP */
		{ 0x1a0, UINT64_C(1) << 34 },		 /* MISC_ENABLE: no NX */
		{ 0x277, UINT64_MAX },			 /* PAT */
		{ 0x6a2, ~UINT64_C(4) },		 /* S_CET but for ENDBR_EN */
		{ 0x6a4, UINT64_MAX },			 /* PL0_SSP */
		{ 0x6a5, UINT64_MAX },			 /* PL1_SSP */
		{ 0x6a6, UINT64_MAX },			 /* PL2_SSP */
		{ EFER, UINT64_C(0x901) },		 /* NXE, LME, SCE */
		{ 0xc0000081, UINT64_MAX },		 /* STAR */
		{ 0xc0000083, UINT64_MAX },		 /* CSTAR */
		{ SFMASK, UINT64_MAX },
	};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		uint64_t bits = 0;

		for (uint32_t n = 0; n < fake.pin.count; n++)
			if (fake.pin.pins[n].index == kept[i].index &&
			    fake.pin.pins[n].how == RF_PIN_VALUE)
				bits = fake.pin.pins[n].mask;
		assert_int_equal(bits & kept[i].bits, kept[i].bits);
	}
}

static void what_is_pinned(void **state)
{
	assert_int_equal(fake.pins, 1);
	assert_int_equal(fake.pin.kernel, fake.posted);
	assert_in_range(fake.pin.count, 10, RF_PIN_MAX);
	for (uint32_t i = 1; i < fake.pin.count; i++)
		assert_true(fake.pin.pins[i].index > fake.pin.pins[i - 1].index);
	assert_true(has(EFER) && has(SFMASK) && has(SYSENTER_ESP) && has(SYSTEM_TIME));
	assert_false(has(DEBUGCTL)); /* debuggers' */
	assert_false(has(SPEC_CTRL));
}

static void by_policy(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_RESET);

	assert_int_equal(rf_guest_event(&guest, &ev), 0);
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = 0;
	guest.policy.pin_debugctl = guest.policy.pin_spec_ctrl = true;
	fake_sealed();
	assert_int_equal(fake.pins, 2);
	assert_true(has(DEBUGCTL) && has(SPEC_CTRL));
	ev = fake_event(RF_EVENT_RESET);
	assert_int_equal(rf_guest_event(&guest, &ev), 0);
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = 0;
	guest.policy.pin_msrs = false;
	fake_sealed();
	assert_int_equal(fake.pins, 3); /* CR0 and CR4 alone */
	assert_int_equal(fake.pin.count, 0);
	ev = fake_event(RF_EVENT_RESET);
	assert_int_equal(rf_guest_event(&guest, &ev), 0);
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = 0;
	guest.policy.pin_control = false;
	fake_sealed();
	assert_int_equal(fake.pins, 3);
}

static void changed(void **state)
{
	struct rf_msg_event ev = msr_event(SFMASK, 0x47500, 0x47700);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 13);
	assert_int_equal(fake_verdict()->rip, ev.regs.rip);
	assert_line("blocked", "msr-is-pinned");
	assert_string_equal(fake_text(fake_line(0), "outcome"),
			    "general protection fault at the wrmsr");
	assert_string_equal(
		fake_text(fake_line(0), "detail"),
		"SFMASK (MSR 0xc0000084) <- 0x47500, was 0x47700, bits 0x200 changed");
	guest.policy.mode = RF_MODE_OBSERVE;
	ev = msr_event(EFER, 0x501, 0xd01);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_line("detected", "msr-is-pinned");
}

static void each_cpu_has_its_own(void **state)
{
	struct rf_msg_event ev = msr_event(SYSENTER_ESP, UINT64_C(0xfffffe000003d000), 0);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_line("allowed", "msr-of-each-cpu");
	ev = msr_event(SYSENTER_ESP, UINT64_C(0xffff888000001000), 0);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("blocked", "msr-is-pinned");
}

static void where_the_host_writes(void **state)
{
	const uint64_t sealed = IMAGE_GPA + RODATA_AT;
	struct rf_msg_event ev = msr_event(SYSTEM_TIME, OTHER_GPA | 1, 0);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_line("allowed", "msr-points-elsewhere");
	/* The enabling bit is no part of the address; switched off, nothing is written. */
	ev = msr_event(SYSTEM_TIME, (sealed + 0x40) | 1, 0);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("blocked", "msr-points-into-sealed-memory");
	/* A page, of which any part may be written. */
	ev = msr_event(HV_HYPERCALL, sealed | 0xfff, 0);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	/* It begins before the seal and reaches into it. */
	ev = msr_event(SYSTEM_TIME, sealed - 0x10, 0);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
}

static void not_ours(void **state)
{
	struct rf_msg_event ev = msr_event(0x1234, 1, 2);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("blocked", "undecided");
}

/* It cannot be pinned, and the guest was to run pinned. */
static void refused(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_RESET);

	assert_int_equal(rf_guest_event(&guest, &ev), 0);
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = 0;
	fake.pin_err = -ENOSPC;
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
}

/* Whoever takes over asks again; an earlier monitor's pins stand. */
static void taken_over(void **state)
{
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake.pins, 2);
	fake.pin_err = -EALREADY;
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake.pins, 3);
	fake.pin_err = -EINVAL;
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
		T(what_is_pinned), T(what_stays), T(by_policy), T(changed), T(each_cpu_has_its_own),
		T(where_the_host_writes), T(not_ours), T(refused), T(taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
