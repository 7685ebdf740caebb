// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The VM's life: what is a reset and what is none, and a running guest that the VMM loads. What the
 * guest holds by itself (LSTAR, as VMLOAD writes it) must never be taken for the VMM's doing.
 */
#include <sys/ioctl.h>

#include "hv/fence.h"
#include "tests/kvm/scenario.h"

GUEST(l_store, "mov %rcx, (%rdi)");
GUEST(l_spin, "1: incq (%rsi)\n pause\n cmpq $0, (%rdi)\n je 1b");
GUEST(l_wrmsr, "wrmsr");

#define STAR 0xc0000081u
#define OTHER_ENTRY (KERNEL_ENTRY + 0x1000)
#define COUNTER(i) (DATA + 64 + 64 * (uint64_t)(i))

/* --- what is no reset ---------------------------------------------------------- */

static void has_entry(struct cpu *c)
{
	CPU_DO(c, l_wrmsr, .rcx = LSTAR, .rax = (uint32_t)KERNEL_ENTRY, .rdx = KERNEL_ENTRY >> 32);
}

/* A sealed guest whose vCPUs all have the kernel's entry. */
static uint64_t running_machine(unsigned cpus)
{
	uint64_t kernel = sealed_machine(cpus);

	for (unsigned i = 1; i < cpus; i++)
		has_entry(&vm.cpus[i]);
	CHECK_EQ(monitor_events(), 1);
	return kernel;
}

/* As QEMU does when a device model looks at a vCPU (hw/i386/vmport.c): what was got is put back. */
static void looked_at(struct cpu *c)
{
	struct kvm_regs r;
	struct kvm_sregs s;
	uint64_t lstar, star;

	CHECK_EQ(cpu_ioctl(c, KVM_GET_REGS, &r), 0);
	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	CHECK_EQ(cpu_get_msr(c, LSTAR, &lstar), 0);
	CHECK_EQ(cpu_get_msr(c, STAR, &star), 0);
	CHECK_EQ(cpu_ioctl(c, KVM_SET_SREGS, &s), 0);
	CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &r), 0);
	CHECK_EQ(cpu_set_msr(c, STAR, star), 0);
	CHECK_EQ(cpu_set_msr(c, LSTAR, lstar), 0);
}

static void still_sealed(unsigned events)
{
	CHECK_EQ(machine_settle(), -1);
	CHECK_EQ(errno, EINTR);
	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
	CHECK_EQ(monitor_board()->regions_count, 2);
	CHECK_EQ(monitor_events(), events);
}

void lstar_zero_put_back(void)
{
	struct cpu *c;

	running_machine(2);
	c = &vm.cpus[0];
	for (unsigned who = 0; who < 2; who++) {
		guest_has_msr(&vm.cpus[who], LSTAR, 0);
		for (int i = 0; i < 3; i++)
			looked_at(c);
		looked_at(&vm.cpus[1]);
		still_sealed(1);
		CPU_DO(c, l_store, .rdi = DATA, .rcx = 1);
		still_sealed(1);
	}
	/* A VMM that puts nothing else, and of its own will. */
	has_entry(c);
	CHECK_EQ(cpu_set_msr(c, LSTAR, 0), 0);
	still_sealed(1);
	store_is_denied(c, SEALED + 16);
	store_is_denied(&vm.cpus[1], OTHER + 8);
	CHECK_EQ(monitor_events_of(RF_EVENT_RESET), 0);
}

static void back_to_work(struct cpu *c, uint64_t lstar)
{
	cpu_long_mode(c);
	guest_has_msr(c, LSTAR, lstar);
}

/* Any part of the vCPUs, but not all: a reset is all of them. */
void part_of_a_reset(void)
{
	running_machine(3);
	for (unsigned who = 1; who < 7; who++) { /* a bit each; 1: the boot CPU alone */
		for (unsigned i = 0; i < 3; i++)
			if (who >> i & 1)
				cpu_put_reset(&vm.cpus[i]);
		still_sealed(1);
		for (unsigned i = 0; i < 3; i++)
			if (who >> i & 1)
				back_to_work(&vm.cpus[i], KERNEL_ENTRY);
		still_sealed(1);
	}
	for (unsigned i = 0; i < 3; i++)
		store_is_denied(&vm.cpus[i], SEALED + 8 * i);
	CHECK_EQ(monitor_events_of(RF_EVENT_RESET), 0);
}

/* The others hold an LSTAR of 0, as the guest can have it: they run its kernel all the same. */
void alone_in_reset(void)
{
	running_machine(3);
	guest_has_msr(&vm.cpus[1], LSTAR, 0);
	guest_has_msr(&vm.cpus[2], LSTAR, 0);
	cpu_put_reset(&vm.cpus[0]);
	still_sealed(1);
	back_to_work(&vm.cpus[0], 0);
	cpu_put_reset(&vm.cpus[0]);
	cpu_put_reset(&vm.cpus[1]);
	still_sealed(1);
	back_to_work(&vm.cpus[0], 0);
	back_to_work(&vm.cpus[1], 0);
	store_is_denied(&vm.cpus[0], SEALED + 16);
	store_is_denied(&vm.cpus[2], SEALED + 16);
	CHECK_EQ(monitor_events_of(RF_EVENT_RESET), 0);
}

static void holds(struct cpu *c, const struct kvm_regs *r, const struct kvm_sregs *s)
{
	CHECK_EQ(ioctl(c->fd, KVM_SET_SREGS, s), 0);
	CHECK_EQ(ioctl(c->fd, KVM_SET_REGS, r), 0);
}

/* Another vCPU that only looks like one in reset, by what a guest can give it; the boot CPU alone
 * is put by the VMM. */
void looks_like_reset(void)
{
	struct kvm_regs reset = { .rip = 0xfff0, .rflags = 2 }, r;
	struct kvm_sregs in_reset, s;
	struct cpu *other;

	running_machine(2);
	other = &vm.cpus[1];
	cpu_put_reset(other);
	CHECK_EQ(cpu_ioctl(other, KVM_GET_SREGS, &in_reset), 0);
	still_sealed(1);
	for (int what = 0; what < 8; what++) {
		cpu_put_reset(&vm.cpus[0]);
		r = reset, s = in_reset;
		guest_has_msr(other, LSTAR, what == 0 ? KERNEL_ENTRY : 0);
		switch (what) {
		case 1:
			s.cr0 |= 1;
			break;
		case 2:
			s.cr3 = 0x1000;
			break;
		case 3:
			s.cr4 = 0x20;
			break;
		case 4:
			s.efer = 1;
			break;
		case 5:
			r.rip = 0xfff1;
			break;
		case 6:
			s.cs.base = 0xf0000;
			break;
		case 7:
			r.rflags = 0x46;
			break;
		}
		holds(other, &r, &s);
		still_sealed(1);
		back_to_work(&vm.cpus[0], 0);
	}
	cpu_put_reset(&vm.cpus[0]);
	holds(other, &reset, &in_reset); /* one that was never started */
	CHECK_EQ(machine_settle(), -1);
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
}

/* The boot CPU is put into reset while another one is inside KVM_RUN, in its kernel. */
void reset_beside_a_running_cpu(void)
{
	struct cpu *other;

	running_machine(2);
	other = &vm.cpus[1];
	memset(vm.ram + DATA, 0, 0x1000);
	CPU_START(other, l_spin, .rdi = DATA, .rsi = COUNTER(1));
	await_change(COUNTER(1), 0);
	cpu_put_reset(&vm.cpus[0]);
	still_sealed(1);
	await_change(COUNTER(1), *(volatile uint64_t *)(vm.ram + COUNTER(1)));
	cpu_stop(other);
	store_is_denied(other, SEALED + 16);
	/* Out, and reset as well: now it is one. The first was looked at before it was whole. */
	cpu_put_reset(other);
	cpu_put_reset(&vm.cpus[0]);
	CHECK_EQ(machine_settle(), -1);
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	CHECK_EQ(monitor_await_event(RF_EVENT_RESET, 1).life.cause, RF_CAUSE_RESET);
	cpu_long_mode(other);
	CPU_DO(other, l_store, .rdi = SEALED, .rcx = 1);
}

void plugged_cpu_reset(void)
{
	struct cpu *c;

	running_machine(1);
	c = machine_add_cpu();
	cpu_put_reset(c);
	still_sealed(1);
	c->run->immediate_exit = 1;
	CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), -1);
	CHECK_EQ(errno, EINTR);
	c->run->immediate_exit = 0;
	still_sealed(1);
	cpu_long_mode(c);
	store_is_denied(c, SEALED + 16);
	store_is_denied(&vm.cpus[0], SEALED + 16);
	CHECK_EQ(monitor_events_of(RF_EVENT_RESET), 0);
}

/* --- a running guest is loaded ------------------------------------------------- */

/* What QEMU puts at a load: long mode, a kernel's entry, and the MP state that it puts at no other
 * time. */
static void load(struct cpu *c, uint64_t lstar)
{
	cpu_long_mode(c);
	CHECK_EQ(cpu_set_msr(c, LSTAR, lstar), 0);
	cpu_put_mp_state(c);
}

static void restored_machine(unsigned cpus, uint64_t lstar)
{
	protected_machine(cpus);
	fill_pattern();
	memset(vm.ram + DATA, 0, 0x1000);
	for (unsigned i = 0; i < cpus; i++)
		load(&vm.cpus[i], lstar);
}

static void spins(unsigned i)
{
	CPU_START(&vm.cpus[i], l_spin, .rdi = DATA, .rsi = COUNTER(i));
}

static void nobody_runs(unsigned cpus)
{
	usleep(100000);
	for (unsigned i = 0; i < cpus; i++)
		CHECK_EQ(*(volatile uint64_t *)(vm.ram + COUNTER(i)), 0);
	CHECK_EQ(monitor_count(RF_COUNT_RUN), 0);
}

static void all_run(unsigned cpus)
{
	for (unsigned i = 0; i < cpus; i++)
		await_change(COUNTER(i), 0);
	vm.ram[DATA] = 1;
	for (unsigned i = 0; i < cpus; i++)
		CHECK_EQ(cpu_wait(&vm.cpus[i]), KVM_EXIT_HLT);
	for (unsigned i = 0; i < cpus; i++)
		store_is_denied(&vm.cpus[i], SEALED + 8 * i);
}

/* One announces it; no vCPU runs before the verdict, and all get their threads back when the VMM
 * wants them. */
void restored_waits(void)
{
	struct rf_msg_event ev;

	restored_machine(3, KERNEL_ENTRY);
	spins(2);
	ev = monitor_event(0, RF_EVENT_KERNEL);
	CHECK_EQ(ev.vcpu, 2);
	CHECK_EQ(ev.msr.index, LSTAR);
	CHECK_EQ(ev.msr.value, KERNEL_ENTRY);
	spins(0);
	spins(1);
	nobody_runs(3);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t seen = atomic_load(&vm.cpus[i].eintr);

		for (int ms = 0; atomic_load(&vm.cpus[i].eintr) == seen; ms++) {
			CHECK(ms < 5000);
			cpu_kick(&vm.cpus[i]);
			usleep(1000);
		}
	}
	CHECK_EQ(seal_both(ev.id), 0);
	nobody_runs(3);
	monitor_allow(ev.id);
	all_run(3);
	CHECK_EQ(monitor_events_of(RF_EVENT_KERNEL), 1);
	CHECK_EQ(monitor_events_of(RF_EVENT_RESET), 0); /* nothing had been known */
	CHECK_EQ(monitor_board()->kernel, ev.id);
}

/* vCPUs that have no entry yet, or whose guest's guest has an LSTAR of 0, wait as well. */
void restored_beside_zero(void)
{
	struct rf_msg_event ev;

	restored_machine(3, 0);
	load(&vm.cpus[1], KERNEL_ENTRY);
	spins(0);
	spins(2);
	nobody_runs(3);
	CHECK_EQ(monitor_events(), 0);
	spins(1);
	ev = monitor_event(0, RF_EVENT_KERNEL);
	CHECK_EQ(ev.vcpu, 1);
	nobody_runs(3);
	CHECK_EQ(seal_both(ev.id), 0);
	monitor_allow(ev.id);
	all_run(3);
	CHECK_EQ(monitor_events_of(RF_EVENT_KERNEL), 1);
}

static void none_runs(unsigned cpus)
{
	uint64_t runs = monitor_count(RF_COUNT_RUN);

	CHECK_EQ(monitor_board()->state, RF_VM_HALTED);
	for (unsigned i = 0; i < cpus; i++) {
		spins(i);
		CHECK_EQ(cpu_wait_error(&vm.cpus[i]), EPERM);
	}
	CHECK_EQ(monitor_count(RF_COUNT_RUN), runs);
}

/* None says which kernel it is: none runs, until the VMM loads one that does. */
void restored_nobody(void)
{
	struct rf_msg_event ev;

	restored_machine(2, 0);
	CHECK_EQ(machine_settle(), -1);
	CHECK_EQ(errno, EPERM);
	ev = monitor_event(0, RF_EVENT_HALTED);
	CHECK_EQ(ev.life.cause, RF_CAUSE_NOBODY);
	none_runs(2);
	CHECK_EQ(monitor_events(), 1); /* said once */
	for (unsigned i = 0; i < 2; i++)
		load(&vm.cpus[i], KERNEL_ENTRY);
	spins(0);
	spins(1);
	/* In this order: who hears of the kernel first would forget it again. */
	CHECK_EQ(monitor_event(1, RF_EVENT_RESET).life.cause, RF_CAUSE_ARRIVED);
	ev = monitor_event(2, RF_EVENT_KERNEL);
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	nobody_runs(2);
	CHECK_EQ(seal_both(ev.id), 0);
	monitor_allow(ev.id);
	all_run(2);
}

/* Its registers are the firmware's, not the kernel's: another one speaks for the kernel, or none
 * does. */
void restored_in_smm(void)
{
	struct kvm_vcpu_events e;
	struct rf_msg_event ev;
	struct cpu *c;

	restored_machine(2, KERNEL_ENTRY);
	c = &vm.cpus[0];
	load(c, OTHER_ENTRY);
	CHECK_EQ(cpu_ioctl(c, KVM_GET_VCPU_EVENTS, &e), 0);
	e.flags = KVM_VCPUEVENT_VALID_SMM;
	e.smi.smm = 1;
	if (cpu_ioctl(c, KVM_SET_VCPU_EVENTS, &e))
		SKIP("this KVM has no system management mode, and loads no guest's guest");
	spins(0);
	nobody_runs(2);
	CHECK_EQ(monitor_events(), 0);
	spins(1);
	ev = monitor_event(0, RF_EVENT_KERNEL);
	CHECK_EQ(ev.vcpu, 1);
	CHECK_EQ(ev.msr.value, KERNEL_ENTRY);
	nobody_runs(2);
	CHECK_EQ(seal_both(ev.id), 0);
	monitor_allow(ev.id);
	await_change(COUNTER(1), 0);
	vm.ram[DATA] = 1;
	CHECK_EQ(cpu_wait(&vm.cpus[1]), KVM_EXIT_HLT);
	cpu_stop(c);
	/* Both of them: nobody is left to ask. */
	for (unsigned i = 0; i < 2; i++) {
		load(&vm.cpus[i], KERNEL_ENTRY);
		e.smi.smm = 1;
		CHECK_EQ(cpu_ioctl(&vm.cpus[i], KVM_SET_VCPU_EVENTS, &e), 0);
	}
	CHECK_EQ(machine_settle(), -1);
	CHECK_EQ(errno, EPERM);
	CHECK_EQ(monitor_await_event(RF_EVENT_HALTED, 1).life.cause, RF_CAUSE_NOBODY);
}

void restored_denied(void)
{
	struct rf_msg_verdict v = { .verdict = RF_VERDICT_DENY, .vector = 13 };

	restored_machine(2, KERNEL_ENTRY);
	spins(0);
	spins(1);
	v.id = monitor_event(0, RF_EVENT_KERNEL).id;
	nobody_runs(2);
	monitor_verdict(&v);
	CHECK_EQ(cpu_wait_error(&vm.cpus[0]), EPERM);
	CHECK_EQ(cpu_wait_error(&vm.cpus[1]), EPERM);
	CHECK_EQ(monitor_event(1, RF_EVENT_HALTED).life.cause, RF_CAUSE_DENIED);
	none_runs(2);
	/* A reset is another guest. */
	machine_reset();
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	monitor_await_event(RF_EVENT_RESET, 1);
	v.id = kernel_starts(monitor_events());
	CHECK_EQ(seal_both(v.id), 0);
	kernel_goes_on(v.id);
	store_is_denied(&vm.cpus[0], SEALED);
}

/* Loaded again while the first load's question is open: the second one is asked about, and the
 * first finds nobody. */
void restored_twice(void)
{
	uint64_t first, second;

	restored_machine(2, KERNEL_ENTRY);
	spins(0);
	spins(1);
	first = monitor_event(0, RF_EVENT_KERNEL).id;
	for (int again = 0; again < 2; again++) {
		for (unsigned i = 0; i < 2; i++)
			cpu_stop(&vm.cpus[i]);
		for (unsigned i = 0; i < 2; i++)
			load(&vm.cpus[i], OTHER_ENTRY);
		spins(0);
		spins(1);
		monitor_await_event(RF_EVENT_KERNEL, 2u + (unsigned)again);
	}
	second = monitor_last_event(RF_EVENT_KERNEL).id;
	CHECK_EQ(monitor_last_event(RF_EVENT_KERNEL).msr.value, OTHER_ENTRY);
	CHECK_EQ(seal_both(first), -ESTALE);
	monitor_allow(first);
	nobody_runs(2);
	CHECK_EQ(seal_both(second), 0);
	monitor_allow(second);
	all_run(2);
	CHECK_EQ(monitor_board()->lstar, OTHER_ENTRY);
}

/* --- resets --------------------------------------------------------------------- */

/* Two resets while a kernel's announcement is open, and with one that the VMM loaded. */
void resets_while_announced(void)
{
	uint64_t first, kernel;

	sealed_machine(1);
	machine_reset();
	monitor_await_event(RF_EVENT_RESET, 1);
	first = kernel_starts(2);
	cpu_stop(&vm.cpus[0]);
	machine_reset();
	machine_reset();
	monitor_await_event(RF_EVENT_RESET, 2);
	monitor_allow(first);
	CHECK_EQ(seal_both_fresh(first), -ESTALE);
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	kernel = kernel_starts(4); /* the second one found nothing to tell */
	CHECK_EQ(seal_both_fresh(kernel), 0);
	kernel_goes_on(kernel);
	store_is_denied(&vm.cpus[0], SEALED);

	load(&vm.cpus[0], OTHER_ENTRY); /* a snapshot of another kernel */
	CPU_START(&vm.cpus[0], l_store, .rdi = DATA);
	CHECK_EQ(monitor_await_event(RF_EVENT_KERNEL, 4).msr.value, OTHER_ENTRY);
	CHECK_EQ(monitor_last_event(RF_EVENT_RESET).life.cause, RF_CAUSE_ARRIVED);
	cpu_stop(&vm.cpus[0]);
	machine_reset();
	machine_reset();
	CPU_DO(&vm.cpus[0], l_store, .rdi = SEALED,
	       .rcx = 1); /* firmware, which nobody asks about */
	monitor_await_event(RF_EVENT_RESET, 4);
	kernel = kernel_starts(monitor_events());
	CHECK_EQ(seal_both_fresh(kernel), 0);
	kernel_goes_on(kernel);
	store_is_denied(&vm.cpus[0], SEALED);
}

static uint64_t starts_at(uint64_t entry)
{
	unsigned n = monitor_events_of(RF_EVENT_KERNEL);
	struct rf_msg_event ev;

	CPU_START(&vm.cpus[0], l_wrmsr, .rcx = LSTAR, .rax = (uint32_t)entry, .rdx = entry >> 32);
	ev = monitor_await_event(RF_EVENT_KERNEL, n + 1);
	CHECK_EQ(ev.msr.value, entry);
	return ev.id;
}

static void goes_on(uint64_t kernel)
{
	monitor_allow(kernel);
	CHECK_EQ(cpu_wait(&vm.cpus[0]), KVM_EXIT_HLT);
	CHECK(!cpu_faulted(&vm.cpus[0], &(struct fault){ 0 }));
}

/* What was sealed is kept until another kernel is sealed: through resets, and kernels that come and
 * go unsealed. */
void kept_until_another(void)
{
	struct cpu *c;
	uint64_t kernel;

	sealed_machine(1);
	c = &vm.cpus[0];
	CHECK_EQ(monitor_board()->kept_entry, 0);
	machine_reset();
	CHECK_EQ(monitor_board()->kept_entry, KERNEL_ENTRY);
	CPU_DO(c, l_store, .rdi = SEALED, .rcx = 0x666);
	goes_on(starts_at(OTHER_ENTRY)); /* a boot loader's: never sealed */
	CHECK_EQ(monitor_board()->state, RF_VM_FOUND);
	machine_reset();
	machine_reset();
	/* Another one gets as far as its watch: a watched page is nothing that is kept. */
	kernel = starts_at(OTHER_ENTRY);
	CHECK_EQ(monitor_watch(kernel, WATCHED, 8, 0x55), 0);
	goes_on(kernel);
	CHECK_EQ(monitor_board()->state, RF_VM_WATCHED);
	machine_reset();
	CHECK_EQ(monitor_board()->kept_entry, KERNEL_ENTRY);
	kernel = starts_at(KERNEL_ENTRY);
	/* Never the bytes that are there now, at this place and with this entry. */
	CHECK_EQ(seal_both(kernel), -EEXIST);
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	/* Nor with other bounds, while most of that memory is what it was. */
	CHECK_EQ(monitor_seal(kernel, both_regions, 1), -EPERM);
	memset(vm.ram + SEALED + 8, 0x77, SEALED_SIZE - 8);
	memset(vm.ram + OTHER, 0x77, 0x1000);
	CHECK_EQ(monitor_seal(kernel, both_regions, 1), 0); /* another kernel */
	CHECK_EQ(monitor_board()->kept_entry, 0);
	goes_on(kernel);
	CHECK_EQ(guest_read(c, SEALED), 0x666);

	/* And again, with another entry. */
	machine_reset();
	CHECK_EQ(monitor_board()->kept_entry, KERNEL_ENTRY);
	kernel = starts_at(
		OTHER_ENTRY); /* who wakes a kernel up says which: none but its own gets it */
	CHECK_EQ(monitor_seal(kernel, both_regions, 1), -EEXIST);
	CHECK_EQ(monitor_seal_again(kernel, both_regions, 1), -EPERM);
	CHECK_EQ(monitor_seal_how(kernel, both_regions, 1, RF_SEAL_FRESH), 0);
	goes_on(kernel);
	machine_reset();
	CPU_DO(c, l_store, .rdi = SEALED, .rcx = 0x777);
	kernel = starts_at(OTHER_ENTRY);
	CHECK_EQ(monitor_seal(kernel, both_regions, 1), -EEXIST);
	CHECK_EQ(monitor_seal_again(kernel, both_regions, 2), -ENOENT);
	CHECK_EQ(monitor_seal_again(kernel, both_regions, 1), 0);
	goes_on(kernel);
	CHECK_EQ(guest_read(c, SEALED), 0x666);
	store_is_denied(c, SEALED + 8);
}

/* The kept kernel runs on, and is said to lie in what is beside it. */
void kept_and_bounds_beside_it(void)
{
	struct rf_region beside = both_regions[0];
	uint64_t kernel;

	sealed_machine(1);
	store_is_denied(&vm.cpus[0], SEALED + 8);
	machine_reset();
	CHECK_EQ(monitor_board()->kept_entry, KERNEL_ENTRY);
	kernel = starts_at(KERNEL_ENTRY);
	CHECK_EQ(seal_both(kernel), -EEXIST);
	beside.gpa += 0x100000;
	beside.gva += 0x100000;
	CHECK_EQ(monitor_seal(kernel, &beside, 1), -EPERM);
	CHECK_EQ(monitor_board()->kept_entry, KERNEL_ENTRY);
}

/* Slot ids, copies and the board's lists are given back: there are 128 ids, and each round takes
 * four. */
void fifty_seals(void)
{
	struct cpu *c;

	sealed_machine(1);
	c = &vm.cpus[0];
	for (int i = 0; i < 50; i++) {
		uint64_t kernel, value = PATTERN(SEALED) + (uint64_t)i;

		machine_reset();
		CHECK_EQ(monitor_board()->regions_count, 0);
		CPU_DO(c, l_store, .rdi = SEALED, .rcx = value);
		kernel = starts_at(KERNEL_ENTRY);
		if (i % 2)
			CHECK_EQ(monitor_watch(kernel, WATCHED, 8, 0x55), 0);
		CHECK_EQ(seal_both_fresh(kernel), 0);
		goes_on(kernel);
		CHECK_EQ(guest_read(c, SEALED), value);
		CHECK_EQ(monitor_board()->runs_count,
			 2 + 3); /* the seals, and what is left of the slot */
	}
	store_is_denied(c, SEALED);
	monitor_await_event(RF_EVENT_RESET, 50);
	/* The last free id is the VMM's to use as ever. */
	CHECK_EQ(machine_slot((uint32_t)rf_fence_ioctl(vm.vm, KVM_CHECK_EXTENSION,
						       (void *)KVM_CAP_NR_MEMSLOTS) -
				      1,
			      0, SPARE, 0x1000, vm.ram),
		 0);
	CHECK_EQ(guest_read(c, SPARE), *(uint64_t *)(void *)vm.ram);
}

/* What is told of a load comes before what the load announces, however the vCPUs' threads run. */
void told_in_order(void)
{
	restored_machine(4, KERNEL_ENTRY);
	for (unsigned round = 1; round <= 60; round++) {
		uint64_t kernel, reset;

		if (round > 1)
			for (unsigned i = 0; i < 4; i++)
				load(&vm.cpus[i], KERNEL_ENTRY + round);
		for (unsigned i = 0; i < 4; i++)
			spins(i);
		kernel = monitor_await_event(RF_EVENT_KERNEL, round).id;
		if (round > 1) {
			reset = monitor_await_event(RF_EVENT_RESET, round - 1).id;
			CHECK(reset < kernel);
		}
		monitor_allow(kernel);
		for (unsigned i = 0; i < 4; i++)
			cpu_stop(&vm.cpus[i]);
		/* The one that announced it was stopped before it took the verdict. */
		for (unsigned i = 0; monitor_board()->kernel != kernel; i = (i + 1) % 4) {
			vm.cpus[i].run->immediate_exit = 1;
			CHECK_EQ(cpu_ioctl(&vm.cpus[i], KVM_RUN, NULL), -1);
			vm.cpus[i].run->immediate_exit = 0;
		}
	}
}
