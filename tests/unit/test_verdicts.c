// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/vmx/enforce.c, verdicts on what x86 alone asks, with all that it calls made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/board.h"
#include "hv/life.h"
#include "hv/vmx/cr.h"
#include "hv/vmx/msr.h"
#include "hv/vmx/tables.h"
#include "hv/vmx/trap.h"

#define EXIT 0x77

static struct rf_board_file file;
struct rf_board *rf_board = &file.board;
static struct kvm_run area;
static struct rf_arch_vcpu arch;
static struct rf_vcpu vcpu = { .fd = 7, .run = &area, .arch = &arch };

static struct {
	bool refuses; /* the CPU, what it is given */
	unsigned faults, lets, cr_lets, traps, tables, sets, moved;
	bool allowed;
	uint32_t delivers;
	uint64_t value;
} fake;

uint32_t rf_cpu_delivers(struct rf_vcpu *v)
{
	return fake.delivers ? fake.delivers : RF_NO_VECTOR;
}

void rf_exit_restore(struct rf_vcpu *v, struct rf_saved_exit *s)
{
	v->run->exit_reason = s->reason;
	s->reason = 0;
}

static struct rf_rules rules = { .observe = 1 };
static jmp_buf ended;

const struct rf_rules *rf_life_allowed(void)
{
	return &rules;
}

void rf_fatal(const char *why)
{
	longjmp(ended, 1);
}

/* The monitor is asked of SYSENTER_ESP; CSTAR has a value. */
bool rf_msr_pinned(uint32_t index, struct rf_pinned *pin)
{
	*pin = (struct rf_pinned){ .how = index == 0x175 ? RF_PIN_ASK : RF_PIN_VALUE };
	return index == 0x175 || index == 0xc0000083;
}

enum rf_next rf_msr_let(struct rf_vcpu *v, uint32_t index, uint64_t value)
{
	fake.lets++;
	fake.value = value;
	v->run->msr.error = fake.refuses;
	return RF_AGAIN;
}

int rf_cr_let(struct rf_vcpu *v, uint64_t cr0_bits, uint64_t cr4_bits)
{
	fake.cr_lets++;
	fake.value = cr0_bits << 32 | cr4_bits;
	return 0;
}

int rf_arch_fault(struct rf_vcpu *v, const struct rf_msg_verdict *verdict)
{
	assert_ptr_equal(verdict, &v->wait.verdict);
	fake.faults++;
	return 0;
}

int rf_trap_enforce(struct rf_vcpu *v, bool allowed)
{
	fake.traps++;
	fake.allowed = allowed;
	return 0;
}

int rf_tables_enforce(struct rf_vcpu *v, bool allowed)
{
	fake.tables++;
	fake.allowed = allowed;
	return 0;
}

int rf_cpu_set_msr(struct rf_vcpu *v, uint32_t index, uint64_t value)
{
	fake.sets++;
	fake.value = value;
	return fake.refuses ? -EIO : 0;
}

void rf_tables_moved(struct rf_vcpu *v)
{
	fake.moved++;
}

static struct rf_msg_event *anew(enum rf_event_kind kind, enum rf_verdict verdict)
{
	memset(&fake, 0, sizeof(fake));
	memset(&area, 0, sizeof(area));
	memset(&arch, 0, sizeof(arch));
	memset(&vcpu.wait, 0, sizeof(vcpu.wait));
	memset(file.board.counters, 0, sizeof(file.board.counters));
	vcpu.wait.event.kind = kind;
	vcpu.wait.verdict.verdict = verdict;
	vcpu.wait.saved.reason = EXIT;
	return &vcpu.wait.event;
}

static int ends(enum rf_next next)
{
	int err = 0;

	assert_int_equal(rf_arch_enforce(&vcpu, &err), next);
	return err;
}

static void counted(unsigned allowed, unsigned denied)
{
	assert_int_equal(file.board.counters[RF_COUNT_ALLOWED], allowed);
	assert_int_equal(file.board.counters[RF_COUNT_DENIED], denied);
}

static void msr_writes(void **state)
{
	anew(RF_EVENT_MSR, RF_VERDICT_ALLOW)->msr.value = 5;
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(fake.lets, 1);
	assert_int_equal(fake.value, 5);
	assert_int_equal(area.exit_reason, EXIT);
	assert_int_equal(vcpu.wait.saved.reason, 0);
	counted(1, 0);
	anew(RF_EVENT_MSR, RF_VERDICT_DENY);
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(fake.lets, 0);
	assert_int_equal(area.msr.error, 1);
	counted(0, 1);
	/* Refused by the CPU: the guest's own fault. */
	anew(RF_EVENT_MSR, RF_VERDICT_ALLOW);
	fake.refuses = true;
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(area.msr.error, 1);
}

/* A kernel is known by its entry: one that the CPU has not taken is none's, and the guest gets
 * #GP. */
static void entries(void **state)
{
	anew(RF_EVENT_KERNEL, RF_VERDICT_ALLOW);
	assert_int_equal(rf_arch_answer_entry(&vcpu, true), 0);
	assert_int_equal(fake.lets, 1);
	anew(RF_EVENT_KERNEL, RF_VERDICT_ALLOW);
	fake.refuses = true;
	assert_int_equal(rf_arch_answer_entry(&vcpu, true), -EIO);
	assert_int_equal(area.exit_reason, EXIT);
	assert_int_equal(area.msr.error, 1);
	assert_int_equal(vcpu.wait.saved.reason, 0); /* KVM reads it when the vCPU goes on */
	anew(RF_EVENT_KERNEL, RF_VERDICT_DENY);
	assert_int_equal(rf_arch_answer_entry(&vcpu, false), 0);
	assert_int_equal(fake.lets, 0);
	assert_int_equal(area.msr.error, 1);
	counted(0, 1);
}

static void control_registers(void **state)
{
	struct rf_msg_event *ev = anew(RF_EVENT_CR, RF_VERDICT_ALLOW);

	ev->cr.cr0_bits = 1;
	ev->cr.cr4_bits = 2;
	arch.kept.cr_missing = 2;
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(fake.cr_lets, 1);
	assert_int_equal(fake.value, UINT64_C(1) << 32 | 2);
	assert_int_equal(arch.kept.cr_missing, 2); /* let: not told of again */
	assert_int_equal(fake.faults, 0);
	for (uint32_t vector = 0; vector < 14; vector += 13) {
		anew(RF_EVENT_CR, RF_VERDICT_DENY);
		vcpu.wait.verdict.vector = vector;
		arch.kept.cr_missing = 2;
		assert_int_equal(ends(RF_AGAIN), 0);
		assert_int_equal(fake.cr_lets, 0);
		assert_int_equal(fake.faults, vector != 0);
		assert_int_equal(arch.kept.cr_missing, 0); /* watched on */
		counted(0, 1);
	}
	anew(RF_EVENT_CR, RF_VERDICT_DENY);
	vcpu.wait.verdict.vector = 13;
	fake.delivers = 0x30;
	assert_int_equal(ends(RF_AGAIN), RF_NOT_NOW);
	assert_int_equal(fake.faults, 0);
	counted(0, 1);
	/* With the trap flag set there is a #DB behind each instruction: no fault goes away by that. */
	anew(RF_EVENT_CR, RF_VERDICT_DENY);
	vcpu.wait.verdict.vector = 13;
	fake.delivers = 1;
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(fake.faults, 1);
	counted(0, 1);
}

static void traps(void **state)
{
	anew(RF_EVENT_TRAP, RF_VERDICT_ALLOW)->trap.kind = RF_TRAP_LIDT;
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(fake.traps, 1);
	assert_true(fake.allowed);
	anew(RF_EVENT_TRAP, RF_VERDICT_ALLOW)->trap.kind = RF_TRAP_KEXEC;
	assert_int_equal(ends(RF_RESET), 0);
	assert_int_equal(fake.traps, 0);
	anew(RF_EVENT_TRAP, RF_VERDICT_DENY)->trap.kind = RF_TRAP_KEXEC;
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(fake.traps, 1);
	assert_false(fake.allowed);
	counted(0, 1);
	anew(RF_EVENT_TABLES, RF_VERDICT_DENY);
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(fake.tables, 1);
	assert_false(fake.allowed);
}

static void msrs_found(void **state)
{
	anew(RF_EVENT_MSR_FOUND, RF_VERDICT_ALLOW);
	arch.kept.msrs_told = 5;
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(fake.sets, 0);
	assert_int_equal(arch.kept.msrs_told, 5);
	anew(RF_EVENT_MSR_FOUND, RF_VERDICT_DENY)->msr.pinned = 9;
	arch.kept.msrs_told = 5;
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(fake.sets, 1);
	assert_int_equal(fake.value, 9);
	assert_int_equal(arch.kept.msrs_told, 0);
	anew(RF_EVENT_MSR_FOUND, RF_VERDICT_DENY);
	fake.refuses = true;
	assert_int_equal(ends(RF_AGAIN), -EIO);
}

static void stalled(void **state)
{
	anew(RF_EVENT_STALLED, RF_VERDICT_ALLOW);
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(fake.moved + fake.faults, 0);
	counted(0, 0);
	anew(RF_EVENT_STALLED, RF_VERDICT_DENY);
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(fake.moved, 1);
	assert_int_equal(fake.faults, 1);
	counted(0, 1);
	/* What a kick has kept back would be lost to it, but for what a double fault takes along. */
	for (uint32_t vector = 14; vector >= 8; vector -= 6) {
		anew(RF_EVENT_STALLED, RF_VERDICT_DENY);
		vcpu.wait.verdict.vector = vector;
		fake.delivers = 0x30;
		assert_int_equal(ends(RF_AGAIN), vector == 8 ? 0 : RF_NOT_NOW);
		counted(0, 1);
		assert_int_equal(fake.moved, vector == 8);
		assert_int_equal(fake.faults, vector == 8);
	}
	/* But not for ever: what has waited at so many looks goes nowhere, as on a sealed stack. */
	for (unsigned looks = 0; looks < 20; looks++) {
		anew(RF_EVENT_STALLED, RF_VERDICT_DENY);
		vcpu.wait.verdict.vector = 14;
		arch.kept.looks = looks;
		fake.delivers = 2;
		assert_int_equal(ends(RF_AGAIN), looks < 4 ? RF_NOT_NOW : 0);
		assert_int_equal(fake.faults, looks >= 4);
		assert_int_equal(fake.moved, looks >= 4);
	}
	anew(RF_EVENT_STALLED, RF_VERDICT_NOT_OURS);
	fake.delivers = 0x30;
	assert_int_equal(ends(RF_TO_VMM), 0);
	assert_int_equal(area.exit_reason, KVM_EXIT_SHUTDOWN);
	assert_int_equal(fake.moved, 1);
	assert_int_equal(fake.faults, 0);
}

/* The exit is the VMM's where it is not ours, and nobody's where it is. */
static void undelivered(void **state)
{
	anew(RF_EVENT_DELIVERY, RF_VERDICT_NOT_OURS);
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(vcpu.wait.saved.reason, EXIT);
	assert_int_equal(fake.faults, 0);
	assert_int_equal(file.board.counters[RF_COUNT_NOT_OURS], 1);
	anew(RF_EVENT_DELIVERY, RF_VERDICT_DENY);
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(vcpu.wait.saved.reason, 0);
	assert_int_equal(fake.faults, 1);
	counted(0, 1);
	anew(RF_EVENT_DELIVERY, RF_VERDICT_ALLOW);
	assert_int_equal(ends(RF_AGAIN), 0);
	assert_int_equal(vcpu.wait.saved.reason, 0);
	assert_int_equal(fake.faults, 0);
	counted(1, 0);
}

static void unknown(void **state)
{
	anew(RF_EVENT_RESET, RF_VERDICT_ALLOW);
	assert_int_equal(ends(RF_AGAIN), -EBADMSG);
}

static bool ends_the_vm(enum rf_event_kind kind, enum rf_verdict verdict, uint32_t msr)
{
	int err = 0;

	if (setjmp(ended))
		return true;
	memset(&vcpu.wait, 0, sizeof(vcpu.wait));
	vcpu.wait.event.kind = kind;
	vcpu.wait.event.msr.index = msr;
	vcpu.wait.verdict.verdict = verdict;
	rf_arch_enforce(&vcpu, &err);
	return false;
}

/* What no policy that enforces lets, it does not let by the monitor's word either. */
static void rules_forbid_registers(void **state)
{
	static const struct {
		enum rf_event_kind kind;
		uint32_t msr;
		bool forbidden;
	} cases[] = {
		{ RF_EVENT_MSR, 0xc0000082, true }, /* LSTAR, which is no pin's */
		{ RF_EVENT_MSR, 0xc0000083, true },
		{ RF_EVENT_MSR, 0x175, false },
		{ RF_EVENT_MSR_FOUND, 0xc0000083, true },
		{ RF_EVENT_CR, 0, true },
		{ RF_EVENT_TABLES, 0, false }, /* legal ones there are, and the monitor reads them */
		{ RF_EVENT_TRAP, 0, false },
		{ RF_EVENT_STALLED, 0, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rules.observe = 0;
		assert_int_equal(ends_the_vm(cases[i].kind, RF_VERDICT_ALLOW, cases[i].msr), cases[i].forbidden);
		assert_false(ends_the_vm(cases[i].kind, RF_VERDICT_DENY, cases[i].msr));
		rules.observe = 1;
		assert_false(ends_the_vm(cases[i].kind, RF_VERDICT_ALLOW, cases[i].msr));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(msr_writes),	     cmocka_unit_test(entries),
		cmocka_unit_test(control_registers), cmocka_unit_test(traps),
		cmocka_unit_test(msrs_found),	     cmocka_unit_test(stalled),
		cmocka_unit_test(undelivered),	     cmocka_unit_test(unknown),
		cmocka_unit_test(rules_forbid_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
