// SPDX-License-Identifier: LGPL-2.1-or-later
/* The monitor dies, comes back, or says what no longer holds. */
#include "tests/kvm/scenario.h"

GUEST(d_store, "mov %rcx, (%rdi)");
GUEST(d_spin, "1: incq (%rsi)\n pause\n cmpq $0, (%rdi)\n je 1b");

/* The VMM wants its thread back while the vCPU is held: it gets it, whoever is or is not there to
 * answer. */
static void thread_comes_back(struct cpu *c)
{
	uint64_t seen = atomic_load(&c->eintr);

	for (int i = 0; i < 5; i++) {
		cpu_kick(c);
		for (int ms = 0; atomic_load(&c->eintr) == seen; ms++) {
			CHECK(ms < 5000);
			usleep(1000);
		}
		seen = atomic_load(&c->eintr);
	}
}

static void monitor_returns(void)
{
	monitor_start(MONITOR_GOOD);
	monitor_await_vm();
}

void monitor_dies_before_verdict(void)
{
	struct rf_msg_verdict v = { .verdict = RF_VERDICT_DENY };
	struct rf_msg_event ev, again;
	struct cpu *c, *other;
	struct fault f;
	uint64_t first;

	sealed_machine(2);
	first = monitor_hello()->instance;
	c = &vm.cpus[0];
	other = &vm.cpus[1];
	before = (struct kvm_regs){ .rdi = SEALED + 16, .rcx = 5, .rsp = STACK + 0x1000 };
	CPU_START(c, d_store, .rdi = SEALED + 16, .rcx = 5);
	ev = monitor_event(1, RF_EVENT_WRITE);
	thread_comes_back(c);
	monitor_die();
	thread_comes_back(c);
	/* Held, and nothing landed; who touches no sealed page runs on. */
	CHECK_EQ(guest_read(other, SEALED + 16), PATTERN(SEALED + 16));
	usleep(100000);
	CHECK(c->running);

	monitor_returns();
	CHECK_EQ(monitor_hello()->state, RF_VM_SEALED);
	CHECK_EQ(monitor_hello()->instance, first);
	CHECK_EQ(monitor_hello()->next_event, ev.id + 1);
	again = monitor_event(0, RF_EVENT_WRITE);
	CHECK_EQ(again.id, ev.id);
	CHECK(!memcmp(&again, &ev, sizeof(ev)));
	/* Words about other events, then the true one. */
	v.id = ev.id + 1;
	monitor_verdict(&v);
	monitor_allow(0);
	usleep(50000);
	CHECK_EQ(guest_read(other, SEALED + 16), PATTERN(SEALED + 16));
	v.id = ev.id;
	deny_at_code(&ev, &v);
	monitor_verdict(&v);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(cpu_faulted(c, &f));
	CHECK_EQ(f.vector, 14);
	CHECK_EQ(monitor_outcome(0).id, ev.id);
	check_pattern(c, SEALED + 16);
	CHECK_EQ(monitor_count(RF_COUNT_WRITE), 1);
}

/* At every moment of a kernel's start: the seal and what the board says survive. */
void monitor_restarts_sealed(void)
{
	uint64_t kernel;

	protected_machine(1);
	fill_pattern();
	kernel = kernel_starts(0);
	monitor_die(); /* before it answered */
	monitor_returns();
	CHECK_EQ(monitor_event(0, RF_EVENT_KERNEL).id, kernel);
	CHECK_EQ(monitor_watch(kernel, WATCHED, 8, 1), 0);
	monitor_die(); /* the watch is armed, the verdict not said */
	monitor_returns();
	CHECK_EQ(monitor_board()->state, RF_VM_WATCHED);
	CHECK_EQ(monitor_event(0, RF_EVENT_KERNEL).id, kernel);
	kernel_goes_on(kernel);
	CPU_START(&vm.cpus[0], d_store, .rdi = WATCHED, .rcx = 1);
	CHECK_EQ(monitor_event(1, RF_EVENT_WATCH).watch.gpa, WATCHED);
	monitor_die();
	monitor_returns();
	CHECK_EQ(monitor_board()->kernel, kernel);
	CHECK_EQ(monitor_board()->lstar, KERNEL_ENTRY);
	CHECK_EQ(monitor_board()->cr3, 0x1000);
	CHECK_EQ(seal_both(kernel), 0);
	monitor_die(); /* sealed, the vCPU still held */
	monitor_returns();
	CHECK_EQ(monitor_hello()->state, RF_VM_SEALED);
	CHECK_EQ(monitor_board()->regions_count, 2);
	CHECK_EQ(monitor_board()->regions[1].gva, UINT64_C(0xffffffff82000000));
	CHECK_EQ(seal_both(kernel), -EALREADY);
	monitor_allow(monitor_event(0, RF_EVENT_WATCH).id);
	CHECK_EQ(cpu_wait(&vm.cpus[0]), KVM_EXIT_HLT);
	check_pattern(&vm.cpus[0], SEALED);
	monitor_die();
	check_pattern(&vm.cpus[0], OTHER); /* nobody there: sealed, and running */
}

void stale_seals(void)
{
	const struct rf_region good = { SEALED, 0x1000, 0, RF_REGION_TEXT, 0 };
	struct rf_region two[2] = { good, good }, many[RF_SEAL_MAX + 1];
	struct rf_region r;
	uint64_t kernel;

	protected_machine(1);
	fill_pattern();
	CHECK_EQ(monitor_seal(1, &good, 1), -ESTALE); /* no kernel yet */
	kernel = kernel_starts(0);
	CHECK_EQ(monitor_seal(kernel - 1, &good, 1), -ESTALE);
	CHECK_EQ(monitor_seal(kernel + 1, &good, 1), -ESTALE);
	CHECK_EQ(monitor_seal(kernel, &good, 0), -EINVAL);
	for (unsigned i = 0; i <= RF_SEAL_MAX; i++) {
		many[i] = good;
		many[i].gpa += i * 0x1000;
	}
	CHECK_EQ(monitor_seal(kernel, many, RF_SEAL_MAX + 1), -EINVAL);
	CHECK_EQ(monitor_seal(kernel, many, UINT32_MAX), -EINVAL);
	r = good, r.gpa += 8;
	CHECK_EQ(monitor_seal(kernel, &r, 1), -EINVAL);
	r = good, r.size = 0;
	CHECK_EQ(monitor_seal(kernel, &r, 1), -EINVAL);
	r = good, r.size = 0x800;
	CHECK_EQ(monitor_seal(kernel, &r, 1), -EINVAL);
	r = good, r.size = RAM_SIZE;
	CHECK_EQ(monitor_seal(kernel, &r, 1), -EINVAL);
	r = good, r.size = -good.gpa;
	CHECK_EQ(monitor_seal(kernel, &r, 1), -EINVAL);
	r = good, r.gpa = NOWHERE;
	CHECK_EQ(monitor_seal(kernel, &r, 1), -EINVAL);
	CHECK_EQ(monitor_seal(kernel, two, 2), -EINVAL); /* one over the other */
	two[0].gpa += 0x1000;
	CHECK_EQ(monitor_seal(kernel, two, 2), -EINVAL); /* not ascending */
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	CHECK_EQ(monitor_board()->regions_count, 0);
	/* Nothing of all that stays: RF_SEAL_MAX neighbours are one good seal. */
	CHECK_EQ(monitor_seal(kernel, many, RF_SEAL_MAX), 0);
	CHECK_EQ(monitor_seal(kernel, many, RF_SEAL_MAX), -EALREADY);
	CHECK_EQ(monitor_watch(kernel, WATCHED, 8, 1), -EBUSY);
	kernel_goes_on(kernel);
	check_pattern(&vm.cpus[0], SEALED + 0x5008);
}

/* The VMM resets a guest whose vCPU waits for a verdict: the verdict finds nobody. */
void reset_while_held(void)
{
	struct cpu *c;
	struct rf_msg_event ev;

	sealed_machine(1);
	c = &vm.cpus[0];
	CPU_START(c, d_store, .rdi = SEALED + 16, .rcx = 5);
	ev = monitor_event(1, RF_EVENT_WRITE);
	atomic_store(&c->stop, 1);
	cpu_kick(c);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_INTR);
	machine_reset();
	monitor_event(2, RF_EVENT_RESET);
	monitor_allow(ev.id);
	usleep(50000);
	CHECK_EQ(guest_read(c, SEALED + 16), PATTERN(SEALED + 16));
	CPU_DO(c, d_store, .rdi = SEALED + 16, .rcx = 6);
	CHECK_EQ(guest_read(c, SEALED + 16), 6);
	CHECK_EQ(monitor_count(RF_COUNT_PATCHED_BYTES), 0);
}

/* The same while LSTAR waits, of a guest that is still booting: the old guest's wrmsr has no part
 * in the new one. */
void reset_while_kernel_held(void)
{
	struct cpu *c;
	struct kvm_regs r = { .rflags = 2 };
	uint64_t kernel, value;

	protected_machine(1);
	fill_pattern();
	kernel = kernel_starts(0);
	c = &vm.cpus[0];
	atomic_store(&c->stop, 1);
	cpu_kick(c);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_INTR);
	machine_reset();
	r.rip = CODE + 0x800;
	CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &r), 0);
	monitor_event(1, RF_EVENT_RESET);
	monitor_allow(kernel);
	usleep(50000);
	CHECK_EQ(seal_both(kernel), -ESTALE);
	/* RIP is where the VMM put it. */
	CHECK_EQ(CPU_DO(c, d_store, .rdi = DATA, .rcx = 6).rip,
		 cpu_code(c) + d_store_end - d_store);
	CHECK_EQ(cpu_get_msr(c, LSTAR, &value), 0);
	CHECK_EQ(value, 0);
	kernel = kernel_starts(2);
	CHECK_EQ(seal_both(kernel), 0);
	kernel_goes_on(kernel);
	check_pattern(c, SEALED);
}
