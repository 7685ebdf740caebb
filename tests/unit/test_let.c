/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hv/vmx/let.c: an MSR write that is let be ends as a guest's own would have, on a made-up CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/vmx/cpu.h"
#include "hv/vmx/msr.h"

#define APICBASE 0x1bu
#define PAGE UINT64_C(0xfee00000)
#define BSP 0x100u
#define SCONTROL 0x40000080u
#define SIEFP 0x40000082u
#define SIMP 0x40000083u

static struct kvm_run area;
static struct rf_vcpu vcpu = { .fd = 7, .run = &area };
static struct {
	uint64_t base, control, events, messages;
	bool refuses, unreadable;
	unsigned sets, completed;
} cpu;

int rf_cpu_get_msr(struct rf_vcpu *v, uint32_t index, uint64_t *value)
{
	*value = index == APICBASE   ? cpu.base
		 : index == SCONTROL ? cpu.control
		 : index == SIEFP    ? cpu.events
				     : cpu.messages;
	return cpu.unreadable ? -EIO : 0;
}

int rf_cpu_set_msr(struct rf_vcpu *v, uint32_t index, uint64_t value)
{
	cpu.sets++;
	if (cpu.refuses)
		return -EIO;
	if (index == SIEFP)
		cpu.events = value;
	if (index == SIMP)
		cpu.messages = value;
	return 0;
}

int rf_cpu_complete(struct rf_vcpu *v)
{
	cpu.completed++;
	v->run->exit_reason = KVM_EXIT_INTR;
	return 0;
}

void rf_fatal(const char *why)
{
	abort();
}

static bool let(uint32_t index, uint64_t value)
{
	memset(&area, 0, sizeof(area));
	area.exit_reason = KVM_EXIT_X86_WRMSR;
	cpu.sets = 0;
	assert_int_equal(rf_msr_let(&vcpu, index, value), RF_AGAIN);
	assert_int_equal(cpu.sets, area.msr.error && !cpu.refuses ? 0 : 1);
	return !area.msr.error;
}

/* SDM vol. 3A figure 11-27. Off, without a mode, xAPIC, x2APIC: what leads where. */
static void modes(void **state)
{
	static const uint64_t of[4] = { 0, 0x400, 0x800, 0xc00 };
	static const bool may[4][4] = {
		{ true, false, true, false },
		{ true, false, true, true }, /* where no CPU is: nothing is made worse */
		{ true, false, true, true },
		{ true, false, false, true },
	};

	for (int from = 0; from < 4; from++)
		for (int to = 0; to < 4; to++)
			for (int rest = 0; rest < 4; rest++) {
				/* Whatever else stands there. */
				cpu.base = of[from] | (rest & 1 ? PAGE | BSP : 0);
				assert_int_equal(
					let(APICBASE, of[to] | (rest & 2 ? PAGE | BSP : 0)),
					may[from][to]);
			}
	cpu.base = 0x800;
	cpu.unreadable = true;
	assert_false(let(APICBASE, 0x800));
	/* No other MSR has modes. */
	assert_true(let(0x10, 0x400));
	cpu.unreadable = false;
}

static void refused(void **state)
{
	cpu.refuses = true;
	assert_false(let(0x10, 5));
	assert_false(let(SIMP, 5));
	assert_int_equal(cpu.completed, 0);
	cpu.refuses = false;
	assert_true(let(0x10, 5));
}

/* api.rst, KVM_EXIT_HYPERV: the VMM maps the page that it is told of. */
static void synic(void **state)
{
	static const uint32_t pages[2] = { SIEFP, SIMP };

	for (int i = 0; i < 2; i++) {
		memset(&area, 0, sizeof(area));
		cpu.completed = 0;
		cpu.control = 1;
		cpu.events = 0x2001;
		cpu.messages = 0x3001;
		assert_int_equal(rf_msr_let(&vcpu, pages[i], 0x5001), RF_TO_VMM);
		assert_int_equal(area.exit_reason, KVM_EXIT_HYPERV);
		assert_int_equal(area.hyperv.type, KVM_EXIT_HYPERV_SYNIC);
		assert_int_equal(area.hyperv.u.synic.msr, pages[i]);
		assert_int_equal(area.hyperv.u.synic.control, 1);
		assert_int_equal(area.hyperv.u.synic.evt_page, i ? 0x2001 : 0x5001);
		assert_int_equal(area.hyperv.u.synic.msg_page, i ? 0x5001 : 0x3001);
		assert_int_equal(cpu.completed, 1);
	}
	cpu.completed = 0;
	assert_true(let(SCONTROL, 1)); /* has no page */
	assert_int_equal(cpu.completed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(modes), cmocka_unit_test(refused),
					    cmocka_unit_test(synic) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
