// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/vmx/tables.c and hv/vmx/cr.c: what is found at looks that follow each other, over a made-up
 * KVM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/board.h"
#include "hv/vmx/cr.h"
#include "hv/vmx/tables.h"
#include "tests/unit/fake_vcpus.h"

#define PGE UINT64_C(0x80)
#define PCE UINT64_C(0x100)

static struct rf_board_file file;
struct rf_board *rf_board = &file.board;
static struct rf_arch_vcpu arch;
static struct kvm_regs regs;
static struct kvm_sregs sregs;
static bool nested, smm, waits;

bool rf_cpu_in_smm(struct rf_vcpu *v)
{
	return smm;
}

bool rf_cpu_waits(struct rf_vcpu *v)
{
	return waits;
}

bool rf_cpu_nested(struct rf_vcpu *v)
{
	return nested;
}

bool rf_cpu_switching(struct rf_vcpu *v)
{
	return nested;
}

static unsigned kicks;

void rf_gate_kick(struct rf_vcpu *v)
{
	kicks++;
}

int rf_gate_signal(void)
{
	return 63;
}

void rf_board_begin(void) {}

void rf_board_end(void) {}

void rf_fatal(const char *why)
{
	abort();
}

long syscall(long number, ...)
{
	unsigned long request;
	va_list ap;
	void *arg;

	va_start(ap, number);
	va_arg(ap, unsigned long);
	request = va_arg(ap, unsigned long);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == KVM_GET_REGS)
		memcpy(arg, &regs, sizeof(regs));
	else if (request == KVM_GET_SREGS)
		memcpy(arg, &sregs, sizeof(sregs));
	else
		memcpy(&sregs, arg, sizeof(sregs));
	return 0;
}

/* Asked for a place at once, and again as long as the vCPU stands there: it may be another instruction by then. */
static void stalled(void **state)
{
	struct rf_vcpu *v = &rf_vcpus[0];

	v->arch = &arch;
	regs.rip = 0x1000;
	assert_false(rf_tables_stalled(v));
	for (int look = 1; look <= 64; look++)
		assert_int_equal(rf_tables_stalled(v), look == 1 || look == 2 || look == 4 || look == 8 ||
							       look % 16 == 0);
	regs.rip = 0x1003; /* it has moved */
	assert_false(rf_tables_stalled(v));
	assert_true(rf_tables_stalled(v));
	rf_tables_moved(v);
	assert_false(rf_tables_stalled(v));
	assert_true(rf_tables_stalled(v));
	regs.rip = 0x2000;
	v->chose = true;
	assert_false(rf_tables_stalled(v));
	assert_false(rf_tables_stalled(v));
}

/*
 * A hung SGDT is interrupted like any other instruction, and a handler of the attacker's (a timer's)
 * counts in the registers that it returns to: RIP stands still, they do not.
 */
static void stalled_while_interrupts_count(void **state)
{
	struct rf_vcpu *v = &rf_vcpus[0];
	unsigned asked = 0;

	v->arch = &arch;
	v->chose = false;
	rf_tables_moved(v);
	regs.rip = 0x3000;
	for (int i = 0; i < 100; i++) {
		regs.r15++;
		asked += rf_tables_stalled(v);
	}
	assert_in_range(asked, 1, 12);
}

/* A kernel's registers are looked at, and no others': not the firmware's, nor those of a CPU that
 * comes up, in real mode, with 32-bit paging or in the trampoline. */
static void looked_at_in_a_kernel(void **state)
{
	static const struct {
		uint64_t cr0, efer, rip, gdt;
		uint16_t idt_limit;
		uint8_t cpl;
		bool smm, left_behind, due;
	} rows[] = {
		{ CR0_PG, EFER_LMA, 0xf000, 0xf000, 0xfff, 0, false, false, true },
		{ CR0_PG, EFER_LMA, 0xf000, 0x100000, 0, 0, false, false, true },
		{ CR0_PG, EFER_LMA, 0x100000, 0xf000, 0, 0, false, false, true },
		{ CR0_PG, EFER_LMA, 0xf000, 0xf000, 0, 3, false, false, true },
		{ CR0_PG, EFER_LMA, 0xf000, 0xf000, 0, 0, false, false, false },
		{ CR0_PG, 0, 0x100000, 0x100000, 0xfff, 0, false, false, false },
		{ 0, EFER_LMA, 0x100000, 0x100000, 0xfff, 0, false, false, false },
		{ CR0_PG, EFER_LMA, 0x100000, 0x100000, 0xfff, 0, true, false, false },
		{ CR0_PG, EFER_LMA, 0x100000, 0x100000, 0xfff, 0, false, true, false },
	};
	struct rf_vcpu *v = &rf_vcpus[0];

	v->arch = &arch;
	fake_vcpus.count = 1;
	rf_tables_every(1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sregs = (struct kvm_sregs){ .cr0 = rows[i].cr0, .efer = rows[i].efer };
		sregs.gdt.base = rows[i].gdt;
		sregs.idt.limit = rows[i].idt_limit;
		sregs.ss.dpl = rows[i].cpl;
		regs.rip = rows[i].rip;
		smm = rows[i].smm;
		arch.left_behind = rows[i].left_behind;
		arch.kept.looked_ns = 0;
		assert_int_equal(rf_tables_due(v), rows[i].due);
	}
	smm = arch.left_behind = false;
	rf_tables_every(0);
	assert_false(rf_tables_due(v));
}

/* Bits that a guest's guest or the firmware has clear are its own: they are looked at until the
 * guest is back. */
static void missing_in_a_guests_guest(void **state)
{
	struct rf_vcpu *v = &rf_vcpus[0];

	v->arch = &arch;
	fake_vcpus.count = 1;
	sregs.cr4 = PGE;
	assert_int_equal(rf_cr_pin(v, 0, PGE, false), 0);
	sregs.cr4 = 0;
	nested = true;
	for (int i = 0; i < 8; i++) {
		nested = i < 4;
		smm = !nested;
		rf_cr_look(v, 0, 0, false);
		assert_int_equal(sregs.cr4, 0);
	}
	smm = false;
	rf_cr_look(v, 0, 0, false);
	assert_int_equal(sregs.cr4, PGE);
	assert_int_equal(arch.cr.cr4_bits, PGE);
}

/* The first vCPU, of which nothing is known yet. */
static struct rf_vcpu *fresh(void)
{
	arch = (struct rf_arch_vcpu){ .left_behind = false };
	nested = smm = waits = false;
	fake_vcpus.count = 1;
	rf_vcpus[0].arch = &arch;
	return &rf_vcpus[0];
}

/* What it has is looked at, and where somebody is asked about it, judged. */
static void look(struct rf_vcpu *v, bool asked, bool allowed)
{
	struct rf_vcpu_tables now;

	assert_int_equal(rf_tables_look(v, &now), asked);
	if (!asked)
		return;
	v->wait.event.tables = now;
	assert_int_equal(rf_tables_enforce(v, allowed), 0);
}

/* Looks that find the pinned bit clear until it is put back. */
static unsigned looks_until_put_back(void)
{
	struct rf_vcpu *v = fresh();
	unsigned looks = 0;

	for (sregs.cr4 = 0; !sregs.cr4 && looks < 100; looks++) {
		arch.kept.looked_ns = 0;
		assert_true(rf_tables_due(v));
	}
	assert_int_equal(arch.cr.cr4_bits, PGE);
	/* Told once, as long as they stay. */
	arch.cr.cr4_bits = 0;
	sregs.cr4 = 0;
	for (int i = 0; i < 20; i++) {
		arch.kept.looked_ns = 0;
		assert_true(rf_tables_due(v));
	}
	assert_int_equal(arch.cr.cr4_bits, 0);
	return looks;
}

/*
 * A CPU that comes up has none of them before it has an IDT, and is not always quick; but whoever
 * takes the IDT away has no more time than a CPU that comes up needs, and it must have its GDT.
 */
static void missing_while_it_comes_up(void **state)
{
	struct rf_vcpu *v = &rf_vcpus[0];

	v->arch = &arch;
	rf_cr_unpin();
	fake_vcpus.count = 1;
	sregs = (struct kvm_sregs){ .cr0 = CR0_PG, .efer = EFER_LMA, .cr4 = PGE, .gdt.base = 0x9000 };
	assert_int_equal(rf_cr_pin(v, 0, PGE, false), 0);
	rf_tables_every(1);
	regs.rip = 0x100000;
	assert_int_equal(looks_until_put_back(), 16);
	sregs.idt.limit = 0xfff;
	assert_int_equal(looks_until_put_back(), 2);
	sregs.idt.limit = 0;
	sregs.ss.dpl = 3;
	assert_int_equal(looks_until_put_back(), 2);
	sregs.ss.dpl = 0;
	sregs.gdt.base = UINT64_C(0xfffffe0000003000);
	assert_int_equal(looks_until_put_back(), 2);
	/* One that was slow and has its tables by now has a look more. */
	arch.kept.cr_missing = 0;
	sregs.cr4 = 0;
	for (int i = 0; i < 8; i++) {
		sregs.gdt.base = i < 7 ? 0x9000 : UINT64_C(0xfffffe0000003000);
		arch.kept.looked_ns = 0;
		assert_true(rf_tables_due(v));
		assert_int_equal(arch.cr.cr4_bits, 0);
	}
	/* And it came up: what was missing on its way is forgotten. */
	for (int i = 0; i < 2; i++) {
		sregs.cr4 = i ? 0 : PGE;
		arch.kept.looked_ns = 0;
		assert_true(rf_tables_due(v));
		assert_int_equal(arch.cr.cr4_bits, 0);
	}
	rf_tables_every(0);
	rf_cr_unpin();
}

static void use_cpu(unsigned ms)
{
	uint64_t began = rf_clock_ns(CLOCK_THREAD_CPUTIME_ID);

	while (rf_clock_ns(CLOCK_THREAD_CPUTIME_ID) - began < ms * UINT64_C(1000000))
		;
}

/* Exits of the guest's own choosing, at which all is as it must be, keep none of ours off. */
static void looked_at_when_the_guest_did_not_choose(void **state)
{
	struct rf_vcpu *v = fresh();

	sregs = (struct kvm_sregs){ .cr0 = CR0_PG, .efer = EFER_LMA, .idt.limit = 0xfff };
	rf_tables_every(UINT64_C(2000000000));
	assert_true(rf_tables_due(v));
	atomic_store(&v->tid, gettid()); /* this thread is its: it runs for as long as it takes */
	atomic_store(&v->phase, RF_IN);
	use_cpu(150);
	atomic_store(&arch.kept.looked_ns, 1); /* long ago */
	assert_true(rf_tables_due(v));	       /* at its OUT */
	assert_false(rf_tables_due(v));
	kicks = 0;
	rf_tables_tick();
	assert_int_equal(kicks, 1);
	assert_true(rf_tables_due(v));
	/* And not again before it has run. */
	rf_tables_every(UINT64_C(2000000000));
	arch.kept.looked_ns = 0;
	assert_true(rf_tables_due(v));
	rf_tables_tick();
	assert_int_equal(kicks, 1);
	atomic_store(&v->phase, RF_OUT);
	rf_tables_every(0);
}

/* It runs for so long, as this thread, and is in that phase as its time comes. */
static struct rf_vcpu *due_in(enum rf_phase phase, uint64_t every)
{
	struct rf_vcpu *v = fresh();

	sregs = (struct kvm_sregs){ .cr0 = CR0_PG, .efer = EFER_LMA, .idt.limit = 0xfff };
	rf_tables_every(every);
	atomic_store(&v->tid, gettid());
	atomic_store(&v->phase, phase);
	v->chose = false;
	use_cpu((unsigned)(every / 20000000) + 2);
	kicks = 0;
	return v;
}

static void tick_now(void)
{
	usleep(rf_tables_tick_ms() * 1000 + 5000); /* the clock is a coarse one */
	rf_tables_tick();
}

/* One that is outside as its time comes is met where it did not choose to be, and soon. */
static void waited_for_inside(void **state)
{
	const uint64_t every = UINT64_C(320000000);
	struct rf_vcpu *v;

	for (int phase = RF_ASKING; phase <= RF_ANSWERED; phase++) {
		due_in(phase, every);
		rf_board->counters[RF_COUNT_RUN]++;
		rf_tables_tick();
		assert_int_equal(kicks, 0);
		assert_in_range(rf_tables_tick_ms(), 1, 11);
	}
	v = due_in(RF_OUT, every);
	rf_tables_tick();
	/* For longer than a period, as long as the VM runs: one of its exits may be long. */
	for (int i = 0; i < 40; i++) {
		rf_board->counters[RF_COUNT_RUN] += i % 20 == 0;
		assert_in_range(rf_tables_tick_ms(), 1, 11);
		tick_now();
	}
	assert_int_equal(kicks, 0);
	/* A VM that stands still is not waited for. */
	for (int i = 0; i < 32; i++)
		tick_now();
	assert_in_range(rf_tables_tick_ms(), 150, 311);
	/* It goes on, and is met. */
	rf_board->counters[RF_COUNT_RUN]++;
	atomic_store(&v->phase, RF_IN);
	rf_tables_every(every);
	use_cpu(20);
	rf_tables_tick();
	assert_int_equal(kicks, 1);
	assert_true(rf_tables_due(v));
	tick_now();
	assert_int_equal(kicks, 1);
	assert_in_range(rf_tables_tick_ms(), 150, 311);
	atomic_store(&v->phase, RF_OUT);
	rf_tables_every(0);
}

/* Got out, it stands where it chose to leave: by an exit of its own, or halted in KVM. */
static void waited_for_elsewhere(void **state)
{
	struct rf_vcpu *v = due_in(RF_IN, UINT64_C(640000000));

	for (unsigned i = 0; i < 6; i++) {
		rf_board->counters[RF_COUNT_RUN]++;
		rf_tables_tick();
		assert_int_equal(kicks, i + 1);
		assert_in_range(rf_tables_tick_ms(), 1, 21);
		waits = i % 2;
		v->chose = !waits;
		assert_true(rf_tables_due(v));
		assert_true(v->chose); /* and does not hang there */
		usleep(25000);
	}
	waits = v->chose = false;
	rf_tables_tick();
	assert_true(rf_tables_due(v));
	assert_false(v->chose);
	assert_int_equal(kicks, 7);
	tick_now();
	assert_int_equal(kicks, 7);
	atomic_store(&v->phase, RF_OUT);
	rf_tables_every(0);
}

/* One that is outside makes no look at others come later than register_check_ms. */
static void outside_beside_a_short_period(void **state)
{
	due_in(RF_OUT, UINT64_C(1000000));
	rf_board->counters[RF_COUNT_RUN]++;
	rf_tables_tick();
	assert_in_range(rf_tables_tick_ms(), 1, 2);
	rf_tables_every(0);
}

/* Nor is it a reason to pass over the next one. */
static void outside_beside_one_that_runs(void **state)
{
	static struct rf_arch_vcpu other;

	due_in(RF_OUT, UINT64_C(640000000));
	fake_vcpus.count = 2;
	rf_vcpus[1].arch = &other;
	atomic_store(&rf_vcpus[1].tid, gettid());
	atomic_store(&rf_vcpus[1].phase, RF_IN);
	rf_board->counters[RF_COUNT_RUN]++;
	rf_tables_tick();
	assert_int_equal(kicks, 1);
	rf_tables_every(0);
	fake_vcpus.count = 1;
}

/* One that does next to nothing is not waited for, wherever it is. */
static void idle_is_not_waited_for(void **state)
{
	for (int phase = RF_OUT; phase <= RF_IN; phase++) {
		struct rf_vcpu *v = due_in(phase, UINT64_C(640000000));

		atomic_store(&arch.kept.used_ns, rf_clock_ns(CLOCK_THREAD_CPUTIME_ID));
		rf_board->counters[RF_COUNT_RUN]++;
		rf_tables_tick();
		assert_int_equal(kicks, 0);
		assert_in_range(rf_tables_tick_ms(), 300, 621);
		atomic_store(&v->phase, RF_OUT);
	}
	rf_tables_every(0);
}

/* In another kernel by now: nothing is compared, and it is not got out more often for that. */
static void left_behind_is_not_waited_for(void **state)
{
	struct rf_vcpu *v = due_in(RF_IN, UINT64_C(640000000));

	arch.left_behind = true;
	rf_board->counters[RF_COUNT_RUN]++;
	rf_tables_tick();
	assert_int_equal(kicks, 1);
	assert_false(rf_tables_due(v));
	tick_now();
	assert_int_equal(kicks, 1);
	assert_in_range(rf_tables_tick_ms(), 300, 621);
	atomic_store(&v->phase, RF_OUT);
	rf_tables_every(0);
}

/* It clears the pinned bit whenever it runs, and sets it before each exit to the VMM, where it is for half of the time; or as it
 * is being got out. */
static void missing_wherever_it_does_not_choose(void **state)
{
	for (int leaves = 0; leaves < 2; leaves++) {
		struct rf_vcpu *v = fresh();
		unsigned met = 0;

		sregs = (struct kvm_sregs){
			.cr0 = CR0_PG, .efer = EFER_LMA, .idt.limit = 0xfff, .cr4 = PGE
		};
		regs.rip = 0x100000;
		assert_int_equal(rf_cr_pin(v, 0, PGE, false), 0);
		atomic_store(&v->tid, gettid());
		rf_tables_every(UINT64_C(20000000));
		assert_true(rf_tables_due(v));
		for (int i = 0; i < 60 && !arch.cr.cr4_bits; i++) {
			bool inside = i % 2, got_out = inside && (!leaves || i % 4 == 1);

			use_cpu(4);
			usleep(25000);
			rf_board->counters[RF_COUNT_RUN]++;
			sregs.cr4 = got_out ? 0 : PGE;
			v->chose = !got_out;
			atomic_store(&v->phase, inside ? RF_IN : RF_OUT);
			arch.kept.looked_ns = rf_clock_ns(CLOCK_MONOTONIC_COARSE);
			kicks = 0;
			rf_tables_tick();
			met += kicks && got_out;
			atomic_store(&v->phase, RF_OUT);
			rf_tables_due(v);
		}
		assert_int_equal(arch.cr.cr4_bits, PGE);
		assert_in_range(met, 1, 3);
		rf_tables_every(0);
		rf_cr_unpin();
	}
}

/* Nor does it know when they come, but at most that long afterwards. */
static void looked_at_some_time(void **state)
{
	bool seen[1002] = { false };
	unsigned times = 0;

	fake_vcpus.count = 1;
	for (int i = 0; i < 100; i++) {
		unsigned ms;

		rf_tables_every(UINT64_C(1000000000));
		rf_tables_tick();
		ms = rf_tables_tick_ms();
		assert_in_range(ms, 1, 1001);
		times += !seen[ms];
		seen[ms] = true;
	}
	assert_in_range(times, 30, 100);
	rf_tables_every(0);
	assert_int_equal(rf_tables_tick_ms(), 60000);
}

/* Bits that are set again for each exit that the guest chooses are put back all the same. */
static void missing_between_its_own_exits(void **state)
{
	struct rf_vcpu *v = fresh();
	unsigned looks = 0;

	rf_cr_unpin();
	sregs = (struct kvm_sregs){ .cr0 = CR0_PG, .efer = EFER_LMA, .cr4 = PGE, .idt.limit = 0xfff };
	assert_int_equal(rf_cr_pin(v, 0, PGE, false), 0);
	rf_tables_every(1);
	for (; !arch.cr.cr4_bits && looks < 100; looks++) {
		sregs.cr4 = 0;
		atomic_store(&arch.kept.looked_ns, 0);
		assert_true(rf_tables_due(v));
		sregs.cr4 = PGE;
		atomic_store(&arch.kept.looked_ns, 1);
		assert_true(rf_tables_due(v));
	}
	assert_int_equal(looks, 2);
	rf_tables_every(0);
	rf_cr_unpin();
}

/* Found at two looks, before either could be told of: one event has both, and the register as it
 * was first. */
static void missing_told_together(void **state)
{
	static const uint64_t missing[] = { PGE, 0, PCE };
	struct rf_vcpu *v = fresh();

	rf_cr_unpin();
	sregs.cr4 = PGE | PCE;
	assert_int_equal(rf_cr_pin(v, 0, PGE | PCE, false), 0);
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		for (int look = 0; look < 2; look++) {
			sregs.cr4 = (PGE | PCE) & ~missing[i];
			rf_cr_look(v, 0, sregs.cr4, false);
		}
		assert_int_equal(sregs.cr4, PGE | PCE);
	}
	assert_int_equal(arch.cr.cr4_bits, PGE | PCE);
	assert_int_equal(arch.cr.cr4, PCE);
	rf_cr_unpin();
}

/* What is denied where nothing was known does not become what the CPU had. */
static void denied_and_not_kept(void **state)
{
	struct rf_vcpu *v = fresh();

	sregs = (struct kvm_sregs){ .idt = { 0xdead000, 0xfff }, .gdt = { 0xbeef000, 0x7f } };
	for (int i = 0; i < 5; i++) {
		look(v, true, false);
		assert_int_equal(sregs.idt.base, 0xdead000);
		assert_false(arch.kept.known);
	}
}

/* The limit that a VM exit leaves is asked about for as long as it is there. */
static void limit_of_a_vm_exit(void **state)
{
	struct rf_vcpu *v = fresh();

	sregs = (struct kvm_sregs){ .idt = { 0x1000, 0xfff }, .gdt = { 0x2000, 0xffff } };
	for (int i = 0; i < 5; i++) {
		sregs.gdt.limit = i < 3 ? 0xffff : 0x7f;
		look(v, i < 4, true);
	}
}

/* What is let because a CPU comes up is nothing that the CPU "had before". */
static void let_and_not_kept(void **state)
{
	static const struct kvm_segment tss = { .base = 0x8000, .limit = 0x67, .selector = 0x40, .present = 1 };
	struct rf_vcpu *v = fresh();

	sregs = (struct kvm_sregs){ .gdt = { 0x9000, 0xff }, .tr = tss };
	for (int i = 0; i < 3; i++) { /* asked each time */
		look(v, true, true);
		assert_false(arch.kept.known);
	}
	sregs = (struct kvm_sregs){ .idt = { 0x1000, 0xfff }, .gdt = { 0x2000, 0x7f } };
	look(v, true, true);
	look(v, false, true);
	sregs.idt.limit = 0;
	sregs.gdt.base = 0x9000;
	sregs.tr = tss;
	look(v, true, true);
	/* With an IDT again and denied: what goes back is what was judged. */
	sregs.idt.limit = 0xfff;
	look(v, true, false);
	assert_int_equal(sregs.gdt.base, 0x2000);
	assert_int_equal(sregs.gdt.limit, 0x7f);
	assert_true(sregs.tr.unusable);
	assert_int_equal(sregs.idt.base, 0x1000);
}

/* What was pinned is pinned again, however often the guest was reset before it came back. */
static void pinned_again_after_two_resets(void **state)
{
	struct rf_vcpu *v = &rf_vcpus[0];

	v->arch = &arch;
	rf_cr_unpin();
	sregs.cr4 = PGE;
	assert_int_equal(rf_cr_pin(v, 0, PGE, false), 0);
	rf_cr_unpin();
	rf_cr_unpin();
	assert_int_equal(file.board.cr4_pinned, 0);
	sregs.cr4 = 0;
	assert_int_equal(rf_cr_pin(v, 0, PGE, true), 0);
	assert_int_equal(file.board.cr4_pinned, PGE);
	/* Booted anew it is what the kernel has. */
	rf_cr_unpin();
	assert_int_equal(rf_cr_pin(v, 0, PGE, false), 0);
	assert_int_equal(file.board.cr4_pinned, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(stalled),
					    cmocka_unit_test(stalled_while_interrupts_count),
					    cmocka_unit_test(looked_at_in_a_kernel),
					    cmocka_unit_test(missing_in_a_guests_guest),
					    cmocka_unit_test(missing_while_it_comes_up),
					    cmocka_unit_test(looked_at_when_the_guest_did_not_choose),
					    cmocka_unit_test(waited_for_inside),
					    cmocka_unit_test(waited_for_elsewhere),
					    cmocka_unit_test(outside_beside_a_short_period),
					    cmocka_unit_test(outside_beside_one_that_runs),
					    cmocka_unit_test(idle_is_not_waited_for),
					    cmocka_unit_test(left_behind_is_not_waited_for),
					    cmocka_unit_test(missing_wherever_it_does_not_choose),
					    cmocka_unit_test(looked_at_some_time),
					    cmocka_unit_test(missing_between_its_own_exits),
					    cmocka_unit_test(missing_told_together),
					    cmocka_unit_test(let_and_not_kept),
					    cmocka_unit_test(denied_and_not_kept),
					    cmocka_unit_test(limit_of_a_vm_exit),
					    cmocka_unit_test(pinned_again_after_two_resets) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
