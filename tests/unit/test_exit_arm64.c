// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/arm64/exit.c: kvm_run's fields end in the right ones of the plain struct. */
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hv/arm64/exit.h"

static void copies(void **state)
{
	struct kvm_run run = { .exit_reason = KVM_EXIT_MMIO };
	struct rf_arm64_exit e;

	run.mmio.phys_addr = 0x123456789abc;
	run.mmio.len = 4;
	run.mmio.is_write = 1;
	memcpy(run.mmio.data, "\1\2\3\4\5\6\7\10", 8);
	e = rf_arm64_exit_copy(&run, 7);
	assert_int_equal(e.reason, RF_ARM64_MMIO);
	assert_int_equal(e.mmio.gpa, 0x123456789abc);
	assert_int_equal(e.mmio.len, 4);
	assert_true(e.mmio.is_write);
	assert_memory_equal(e.mmio.data, "\1\2\3\4\5\6\7\10", 8);

	memset(&run, 0, sizeof(run));
	run.exit_reason = KVM_EXIT_ARM_NISV;
	run.arm_nisv.esr_iss = 0x14f;
	run.arm_nisv.fault_ipa = 0x9abc000;
	e = rf_arm64_exit_copy(&run, 7);
	assert_int_equal(e.reason, RF_ARM64_NISV);
	assert_int_equal(e.nisv.iss, 0x14f);
	assert_int_equal(e.nisv.gpa, 0x9abc000);

	memset(&run, 0, sizeof(run));
	run.exit_reason = KVM_EXIT_DEBUG;
	run.debug.arch.hsr = 0xf2005246;
	run.debug.arch.far = 1;
	e = rf_arm64_exit_copy(&run, 0xffff800010000000);
	assert_int_equal(e.reason, RF_ARM64_DEBUG);
	assert_int_equal(e.debug.esr, 0xf2005246);
	assert_int_equal(e.debug.pc, 0xffff800010000000);

	run.exit_reason = KVM_EXIT_SYSTEM_EVENT;
	assert_int_equal(rf_arm64_exit_copy(&run, 0).reason, RF_ARM64_OTHER);
}

/* The assembler's own word for the trap. */
static void trap(void **state)
{
	uint64_t insn;

	asm("adr %0, 1f\n\tldr %w0, [%0]\n\tb 2f\n1:\tbrk #%c1\n2:" : "=&r"(insn) : "i"(RF_ARM64_TRAP_IMM));
	assert_int_equal(insn, RF_ARM64_TRAP_INSN);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(copies), cmocka_unit_test(trap) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
