// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/vmx/vm.c and hv/vmx/msr.c: what is disarmed, what the VMM asks for beside it, and pinned MSRs
 * of a vCPU that is between two guests, over a made-up KVM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/board.h"
#include "hv/vmx/cr.h"
#include "hv/vmx/decode.h"
#include "hv/vmx/msr.h"
#include "hv/vmx/tables.h"
#include "hv/vmx/trap.h"
#include "hv/vmx/vm.h"
#include "tests/unit/fake_vcpus.h"

#define STAR 0xc0000081u

static struct rf_board_file file;
struct rf_board *rf_board = &file.board;
struct rf_cpu_can rf_cpu_can;
static struct rf_arch_vcpu archs[3];

static struct {
	unsigned forgets, unpins, cr_pins, filters;
	bool switching, no_filter;
	uint64_t star, lstar;
	uint64_t exits; /* as KVM was asked for last */
} fake;

void rf_traps_forget(void)
{
	fake.forgets++;
}

int rf_cr_init(void)
{
	return 0;
}

bool rf_cr_watched(void)
{
	return false;
}

void rf_cr_tick(void) {}

int rf_cr_pin(struct rf_vcpu *boot, uint64_t cr0, uint64_t cr4, bool again)
{
	fake.cr_pins++;
	return 0;
}

void rf_cr_unpin(void)
{
	fake.unpins++;
}

void rf_tables_tick(void) {}

unsigned rf_tables_tick_ms(void)
{
	return 1000;
}

bool rf_cpu_switching(struct rf_vcpu *v)
{
	return fake.switching;
}

int rf_cpu_get_msr(struct rf_vcpu *v, uint32_t index, uint64_t *value)
{
	*value = fake.star;
	return index == STAR ? 0 : -EIO;
}

void rf_fatal(const char *why)
{
	fail_msg("fatal: %s", why);
	abort();
}

long syscall(long number, ...)
{
	const struct kvm_enable_cap *cap;
	struct kvm_msrs *m;
	unsigned long request;
	va_list ap;
	void *arg;

	va_start(ap, number);
	va_arg(ap, unsigned long);
	request = va_arg(ap, unsigned long);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == KVM_X86_SET_MSR_FILTER) {
		fake.filters++;
		errno = ENOSPC;
		return fake.no_filter ? -1 : 0;
	}
	if (request == KVM_ENABLE_CAP) {
		cap = arg;
		assert_int_equal(cap->cap, KVM_CAP_X86_USER_SPACE_MSR);
		fake.exits = cap->args[0];
		return 0;
	}
	assert_int_equal(request, KVM_GET_MSRS);
	m = arg;
	for (uint32_t i = 0; i < m->nmsrs; i++)
		m->entries[i].data = m->entries[i].index == STAR ? fake.star : fake.lstar;
	return m->nmsrs;
}

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	memset(archs, 0, sizeof(archs));
	fake_vcpus.count = 3;
	for (unsigned i = 0; i < 3; i++)
		rf_vcpus[i].arch = &archs[i];
	rf_msr_unpin();
	memset(&fake, 0, sizeof(fake));
	return 0;
}

/* The vCPU of the kexec goes on, in the next kernel; the others stand where the last one left
 * them. */
static void left_behind(void **state)
{
	rf_arch_disarm(&rf_vcpus[1]);
	assert_true(archs[0].left_behind);
	assert_false(archs[1].left_behind);
	assert_true(archs[2].left_behind);
	assert_int_equal(fake.forgets, 1);
	assert_int_equal(fake.unpins, 1);
	rf_arch_disarm(NULL); /* a reset: none is */
	for (unsigned i = 0; i < 3; i++)
		assert_false(archs[i].left_behind);
}

static int ask(uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap c = { .cap = cap, .args = { arg } };
	int result = 77;

	return rf_arch_vm_ioctl(KVM_ENABLE_CAP, &c, &result) ? result : 1;
}

static void capabilities(void **state)
{
	assert_int_equal(ask(KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_INVAL), 0);
	assert_int_equal(fake.exits, KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_FILTER);
	assert_false(rf_vmm_asked.msr_exits);
	assert_int_equal(ask(KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER), 0);
	assert_true(rf_vmm_asked.msr_exits);
	assert_int_equal(ask(KVM_CAP_X86_USER_SPACE_MSR, 0), 0);
	assert_int_equal(fake.exits, KVM_MSR_EXIT_REASON_FILTER);
	assert_false(rf_vmm_asked.msr_exits);
	assert_int_equal(ask(KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1), 0);
	assert_true(rf_vmm_asked.emulation_exits);
	assert_int_equal(ask(KVM_CAP_EXIT_ON_EMULATION_FAILURE, 0), 0);
	assert_false(rf_vmm_asked.emulation_exits);
	assert_int_equal(ask(KVM_CAP_HALT_POLL, 1), 1); /* not ours */
}

static int pin_as(bool again)
{
	struct rf_msg_pin m = { .count = 1, .pins = { { STAR, RF_PIN_VALUE, UINT64_MAX } } };

	return rf_arch_pin(&m, &rf_vcpus[0], again);
}

static int pin(void)
{
	return pin_as(false);
}

/* A hypervisor in the guest loads its guest's before it runs it: nothing of the kernel's. */
static void between_two_guests(void **state)
{
	struct rf_msg_event ev;

	fake.star = 5;
	fake.lstar = 9;
	assert_int_equal(pin(), 0);
	assert_false(rf_msr_look(&rf_vcpus[0], 9, &ev));
	fake.star = 6;
	fake.switching = true;
	assert_false(rf_msr_look(&rf_vcpus[0], 9, &ev));
	assert_int_equal(archs[0].kept.msrs_told, 0);
	fake.switching = false;
	assert_true(rf_msr_look(&rf_vcpus[0], 9, &ev));
	assert_int_equal(ev.msr.index, STAR);
	assert_int_equal(ev.msr.value, 6);
	assert_int_equal(ev.msr.pinned, 5);
	assert_false(rf_msr_look(&rf_vcpus[0], 9, &ev)); /* told once */
	assert_false(rf_msr_look(&rf_vcpus[0], 9, &ev));
}

/* What KVM refuses leaves nothing pinned, and is no success the next time. */
static void pin_fails(void **state)
{
	fake.no_filter = true;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pin(), -ENOSPC);
		assert_int_equal(fake.cr_pins, i + 1);
		assert_int_equal(fake.unpins, i + 1);
		assert_false(rf_msr_ours(STAR));
	}
	fake.no_filter = false;
	assert_int_equal(pin(), 0);
	assert_true(rf_msr_ours(STAR));
	assert_int_equal(pin(), -EALREADY);
}

/* Woken up, a guest gets what was pinned before, however often it was reset meanwhile, and not what
 * the code at the waking vector has loaded. Booted anew it has its own. */
static void pinned_again(void **state)
{
	struct rf_pinned p;

	fake.star = 5;
	assert_int_equal(pin(), 0);
	rf_msr_unpin();
	rf_msr_unpin();
	assert_false(rf_msr_pinned(STAR, &p));
	fake.star = 6;
	assert_int_equal(pin_as(true), 0);
	assert_true(rf_msr_pinned(STAR, &p));
	assert_int_equal(p.value, 5);
	rf_msr_unpin();
	assert_int_equal(pin(), 0);
	assert_true(rf_msr_pinned(STAR, &p));
	assert_int_equal(p.value, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(left_behind, setup),
		cmocka_unit_test_setup(capabilities, setup),
		cmocka_unit_test_setup(between_two_guests, setup),
		cmocka_unit_test_setup(pin_fails, setup),
		cmocka_unit_test_setup(pinned_again, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
