// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/vmx/let.c: an MSR write that is let be ends as a guest's own would have, on a made-up CPU. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "hv/vmx/cpu.h"
#include "hv/vmx/decode.h"
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
	uint64_t base, efer, cr0, control, events, messages;
	bool refuses, unreadable;
	bool no_sregs;
	unsigned sets, completed;
} cpu;

long syscall(long number, ...)
{
	unsigned long request;
	struct kvm_sregs *s;
	va_list ap;
	int fd;

	va_start(ap, number);
	fd = va_arg(ap, int);
	request = va_arg(ap, unsigned long);
	s = va_arg(ap, void *);
	va_end(ap);
	assert_int_equal(number, SYS_ioctl);
	assert_int_equal(fd, vcpu.fd);
	assert_int_equal(request, KVM_GET_SREGS);
	if (cpu.no_sregs) {
		errno = EIO;
		return -1;
	}
	*s = (struct kvm_sregs){ .cr0 = cpu.cr0, .efer = cpu.efer };
	return 0;
}

int rf_cpu_get_msr(struct rf_vcpu *v, uint32_t index, uint64_t *value)
{
	*value = index == APICBASE	? cpu.base
		 : index == RF_MSR_EFER ? cpu.efer
		 : index == SCONTROL	? cpu.control
		 : index == SIEFP	? cpu.events
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

/* APM vol. 2 14.6: LME changes with paging off, alone; what else changes with it is no matter. */
static void long_mode(void **state)
{
	const uint64_t sce = 1, lme = 1u << 8, lma = 1u << 10, nxe = 1u << 11, pg = 1u << 31;

	for (int paging = 0; paging < 2; paging++)
		for (int from = 0; from < 2; from++)
			for (int to = 0; to < 2; to++)
				for (int rest = 0; rest < 4; rest++) {
					cpu.cr0 = 0x33 | (paging ? pg : 0);
					cpu.efer = (from ? lme | lma : 0) | (rest & 1 ? nxe : 0);
					assert_int_equal(let(RF_MSR_EFER,
							     (to ? lme | lma : 0) |
								     (rest & 2 ? nxe | sce : 0)),
							 from == to || !paging);
					/* The rule is EFER's. */
					assert_true(let(0x10, to ? lme : 0));
				}
	/* Not known to be off, it is taken to be on; not known to change, to do so. */
	cpu.cr0 = 0x33;
	cpu.efer = lme;
	cpu.no_sregs = true;
	assert_true(let(RF_MSR_EFER, lme | nxe));
	assert_false(let(RF_MSR_EFER, nxe));
	cpu.no_sregs = false;
	assert_true(let(RF_MSR_EFER, nxe));
	cpu.unreadable = true;
	assert_false(let(RF_MSR_EFER, lme));
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
	const struct CMUnitTest tests[] = { cmocka_unit_test(modes), cmocka_unit_test(long_mode),
					    cmocka_unit_test(refused), cmocka_unit_test(synic) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
