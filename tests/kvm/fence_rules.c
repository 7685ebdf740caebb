// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the fence lets a monitor do, and what is told of: observing, the rules, a monitor that does
 * not read, time. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include "hv/fence.h"
#include "tests/kvm/patched.h"

GUEST(r_store, "mov %rcx, (%rdi)");
GUEST(r_wrmsr, "wrmsr");
GUEST(r_spin, "1: incq (%rsi)\n pause\n cmpq $0, (%rdi)\n je 1b");
GUEST(r_jump, "jmp *%rbx");
GUEST(r_lidt_store, "lidt (%rsi)\n mov %rcx, (%rdi)\n sidt (%r8)");

#define ENTRY_2 (KERNEL_ENTRY + 0x1000)

static void writes_lstar(struct cpu *c, uint64_t entry, bool let)
{
	struct fault f;
	uint64_t value;

	CPU_START(c, r_wrmsr, .rcx = LSTAR, .rax = (uint32_t)entry, .rdx = entry >> 32);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK_EQ(cpu_faulted(c, &f), !let);
	if (!let)
		CHECK_EQ(f.vector, 13);
	CHECK_EQ(cpu_get_msr(c, LSTAR, &value), 0);
	CHECK_EQ(value == entry, let);
}

static bool deny_msrs(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_MSR)
		v->verdict = RF_VERDICT_DENY;
	return true;
}

/* --- observing ---------------------------------------------------------------------- */

/* Another entry for a sealed kernel is a change like another: let or not, nothing is released and
 * nothing ends. */
void observed_lstar(void)
{
	uint64_t kernel = sealed_machine(3);
	struct rf_msg_event ev;

	monitor_set_judge(allow);
	writes_lstar(&vm.cpus[0], ENTRY_2, true);
	ev = monitor_await_event(RF_EVENT_MSR, 1);
	CHECK_EQ(ev.msr.index, LSTAR);
	CHECK_EQ(ev.msr.value, ENTRY_2);
	CHECK_EQ(ev.msr.pinned, KERNEL_ENTRY);
	writes_lstar(&vm.cpus[1], ENTRY_2, true); /* of each CPU */
	CHECK_EQ(monitor_await_event(RF_EVENT_MSR, 2).vcpu, 1);
	writes_lstar(&vm.cpus[2], 0, true);
	monitor_await_event(RF_EVENT_MSR, 3);
	writes_lstar(&vm.cpus[0], KERNEL_ENTRY, true); /* back: its own */
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 3);
	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
	CHECK_EQ(monitor_board()->kernel, kernel);
	CHECK_EQ(monitor_board()->lstar, KERNEL_ENTRY);
	monitor_set_judge(deny_msrs);
	writes_lstar(&vm.cpus[0], ENTRY_2, false);
	/* The VMM looks at one whose entry was let be, and puts it back. */
	CHECK_EQ(cpu_set_msr(&vm.cpus[1], LSTAR, ENTRY_2), 0);
	CHECK_EQ(machine_settle(), -1);
	CHECK_EQ(errno, EINTR);
	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
	for (int i = 0; i < 3; i++)
		store_is_denied(&vm.cpus[i], SEALED + 8);
	usleep(20000);
	CHECK_EQ(monitor_events_of(RF_EVENT_KERNEL), 1);
	CHECK_EQ(monitor_events_of(RF_EVENT_RESET) + monitor_events_of(RF_EVENT_RELOADED), 0);
}

#define OLD_IDT 0x5000
#define NEW_IDT 0x6000

static bool deny_new_idt(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_TABLES && ev->tables.idt.base == NEW_IDT)
		v->verdict = RF_VERDICT_DENY;
	return true;
}

/* The VMM's MMIO exit comes at once, whatever else is to be asked; and what was changed is put back
 * before the guest goes on. */
void exit_before_tables(void)
{
	struct rf_msg_traps m = { .check_ms = 15 };
	uint16_t limit = 0x2ff;
	uint64_t base = NEW_IDT, stored;
	struct cpu *c;

	m.kernel = sealed_machine(1);
	c = &vm.cpus[0];
	memcpy(vm.ram + NEW_IDT, vm.ram + OLD_IDT, 0x1000);
	memcpy(vm.ram + DATA, &limit, 2);
	memcpy(vm.ram + DATA + 2, &base, 8);
	rf_msg_init(&m.h, RF_MSG_TRAPS, 0);
	CHECK_EQ(monitor_traps(&m), 0);
	monitor_set_judge(deny_new_idt);
	usleep(30000);
	guest_read(c, DATA); /* the first look */
	monitor_await_event(RF_EVENT_TABLES, 1);
	for (int i = 0; i < 20; i++) {
		unsigned told = monitor_events_of(RF_EVENT_TABLES);

		guest_read(c, DATA);
		usleep(1000);
		CPU_START(c, r_lidt_store, .rdi = NOWHERE, .rsi = DATA, .rcx = 0x77,
			  .r8 = DATA + 16);
		CHECK_EQ(cpu_wait(c), KVM_EXIT_MMIO);
		CHECK_EQ(c->run->mmio.phys_addr, NOWHERE);
		CHECK_EQ(c->run->mmio.data[0], 0x77);
		CHECK_EQ(monitor_events_of(RF_EVENT_TABLES), told); /* nobody was asked for it */
		usleep(30000);
		do
			c->result = cpu_ioctl(c, KVM_RUN, NULL);
		while (c->result < 0 && errno == EINTR);
		CHECK_EQ(c->result, 0);
		CHECK_EQ(c->run->exit_reason, KVM_EXIT_HLT);
		CHECK_EQ(monitor_await_event(RF_EVENT_TABLES, told + 1).tables.idt.base, NEW_IDT);
		memcpy(&stored, vm.ram + DATA + 18, 8);
		CHECK_EQ(stored, OLD_IDT); /* as the next instruction but one found it */
	}
}

/* --- the rules ------------------------------------------------------------------------ */

static void lets_a_store(void)
{
	sealed_machine(1);
	monitor_set_judge(allow);
	CPU_START(&vm.cpus[0], r_store, .rdi = SEALED + 8, .rcx = 1);
	cpu_wait(&vm.cpus[0]);
}

/* The VM is ended, and the store has not happened; the kexec's rule says nothing of stores. */
void rules_forbid_stores(void)
{
	uint64_t value;

	machine_share_ram();
	monitor_rules = (struct rf_rules){ .kexec = 1 };
	ends_the_vm(lets_a_store, "lets a store pass that the policy does not");
	memcpy(&value, vm.ram + SEALED + 8, 8);
	CHECK_EQ(value, PATTERN(SEALED + 8));
}

/* The kernel's code that hands over to another one. */
static void starts_kexec(void)
{
	struct rf_msg_traps m = { .kernel = patched_machine(2), .count = 1 };

	rf_msg_init(&m.h, RF_MSG_TRAPS, 0);
	m.sites[0] = (struct rf_trap_site){ .gpa = TRAPPED, .len = 3, .kind = RF_TRAP_KEXEC };
	memcpy(m.sites[0].bytes, ltr, 3);
	CHECK_EQ(monitor_traps(&m), 0);
	CPU_START(&vm.cpus[0], r_jump, .rbx = TRAPPED);
	CHECK_EQ(monitor_await_event(RF_EVENT_TRAP, 1).trap.kind, RF_TRAP_KEXEC);
}

static void let_a_kexec(void)
{
	monitor_rules = (struct rf_rules){ 0 };
	starts_kexec();
	monitor_allow(monitor_last_event(RF_EVENT_TRAP).id);
	cpu_wait(&vm.cpus[0]);
}

void rules_forbid_kexec(void)
{
	ends_the_vm(let_a_kexec, "lets a kexec pass that the policy does not");
}

/* Either rule lets it. */
void rules_let_kexec(void)
{
	monitor_rules = (struct rf_rules){ .observe = 1 };
	starts_kexec();
	monitor_allow(monitor_last_event(RF_EVENT_TRAP).id);
	CHECK_EQ(monitor_await_event(RF_EVENT_RESET, 1).life.cause, RF_CAUSE_KEXEC);
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	/* The LTR that the trap stood for, of a selector that is none. */
	CHECK_EQ(cpu_wait(&vm.cpus[0]), KVM_EXIT_HLT);
	CHECK_EQ(monitor_board()->kept_entry, KERNEL_ENTRY);
	CHECK_EQ(vm.ram[TRAPPED], ltr[0]);
}

static void weaker_rules(void)
{
	monitor_rules = (struct rf_rules){ 0 };
	sealed_machine(1);
	monitor_die();
	monitor_rules = (struct rf_rules){ .observe = 1, .kexec = 1 };
	monitor_start(MONITOR_GOOD);
	monitor_await_vm();
	CHECK_EQ(guest_read(&vm.cpus[0], SEALED + 8), PATTERN(SEALED + 8));
	monitor_set_judge(allow);
	CPU_START(&vm.cpus[0], r_store, .rdi = SEALED + 8, .rcx = 1);
	cpu_wait(&vm.cpus[0]);
}

/* The first monitor's word counts, whoever comes after it. */
void rules_of_the_first(void)
{
	ends_the_vm(weaker_rules, "lets a store pass that the policy does not");
}

/* --- told, whatever the monitor does ---------------------------------------------------- */

static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER;

static bool reads_no_more(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	pthread_mutex_lock(&busy);
	pthread_mutex_unlock(&busy);
	usleep(1000); /* and slowly, when it does */
	return false;
}

/* What was told and asked came in the order in which it happened, and once. */
static void in_order(void)
{
	for (unsigned n = 1; n < monitor_events(); n++)
		CHECK(monitor_nth(n).id > monitor_nth(n - 1).id);
}

#define ROUNDS 150

/*
 * It does not read its socket until that is full: what is told waits, as far as there is room (64
 * events), the rest is counted, and a question is asked all the same.
 */
void monitor_does_not_read(void)
{
	uint64_t resets = 0, untold, last = 0;
	struct cpu *c;

	protected_machine(2);
	fill_pattern();
	c = &vm.cpus[0];
	pthread_mutex_lock(&busy);
	monitor_set_judge(reads_no_more);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		CPU_START(c, r_wrmsr, .rcx = LSTAR, .rax = (uint32_t)i, .rdx = 0);
		for (int ms = 0; monitor_count(RF_COUNT_MSR) < i; ms++) {
			CHECK(ms < 5000);
			usleep(500);
		}
		cpu_stop(c);
		machine_reset();
	}
	CPU_START(&vm.cpus[1], r_spin, .rdi = DATA,
		  .rsi = DATA + 64); /* nobody else waits for it */
	await_change(DATA + 64, 0);
	CHECK(monitor_events() < 2 * ROUNDS);
	pthread_mutex_unlock(&busy);
	usleep(20000);
	CPU_START(c, r_wrmsr, .rcx = LSTAR, .rax = (uint32_t)KERNEL_ENTRY,
		  .rdx = KERNEL_ENTRY >> 32);
	for (int ms = 0; !last; ms++) {
		unsigned n = monitor_events();

		CHECK(ms < 10000);
		if (n && monitor_events_of(RF_EVENT_KERNEL) &&
		    monitor_last_event(RF_EVENT_KERNEL).msr.value == KERNEL_ENTRY)
			last = monitor_last_event(RF_EVENT_KERNEL).id;
		usleep(1000);
	}
	monitor_set_judge(NULL);
	in_order();
	resets = monitor_events_of(RF_EVENT_RESET);
	untold = monitor_count(RF_COUNT_UNTOLD);
	CHECK_EQ(resets + untold, ROUNDS);
	CHECK(untold < ROUNDS - 64);
	CHECK(monitor_last_event(RF_EVENT_RESET).id < last);
	CHECK_EQ(seal_both(last), 0);
	kernel_goes_on(last);
	vm.ram[DATA] = 1;
	CHECK_EQ(cpu_wait(&vm.cpus[1]), KVM_EXIT_HLT);
	store_is_denied(c, SEALED);
}

#define HELD 8

/* Questions of all vCPUs, none of which fits into the socket any more: each is asked when there is
 * room. */
void questions_wait_for_room(void)
{
	uint64_t kernel = sealed_machine(HELD);
	struct cpu *c = &vm.cpus[0];

	pthread_mutex_lock(&busy);
	monitor_set_judge(reads_no_more);
	/* Each store is a question; the VMM resets nothing, so the same vCPUs fill it with loads in
	 * place. */
	for (unsigned i = 0; i < 70; i++) {
		cpu_put_mp_state(c);
		CHECK_EQ(machine_settle(), -1);
	}
	for (unsigned i = 0; i < HELD; i++)
		CPU_START(&vm.cpus[i], r_store, .rdi = SEALED + 64 * i, .rcx = i);
	for (int ms = 0; monitor_count(RF_COUNT_WRITE) < HELD; ms++) {
		CHECK(ms < 5000);
		usleep(1000);
	}
	usleep(50000);
	monitor_set_judge(NULL);
	pthread_mutex_unlock(&busy);
	monitor_await_event(RF_EVENT_WRITE, HELD);
	CHECK_EQ(monitor_events_of(RF_EVENT_RELOADED) + monitor_count(RF_COUNT_UNTOLD), 70);
	CHECK_EQ(monitor_events_of(RF_EVENT_WRITE), HELD);
	CHECK_EQ(monitor_board()->kernel, kernel);
	for (unsigned n = 0; n < monitor_events(); n++)
		if (monitor_event(n, n ? n <= monitor_events_of(RF_EVENT_RELOADED)
						     ? RF_EVENT_RELOADED
						     : RF_EVENT_WRITE
				       : RF_EVENT_KERNEL)
			    .kind == RF_EVENT_WRITE)
			monitor_allow(monitor_event(n, RF_EVENT_WRITE).id);
	for (unsigned i = 0; i < HELD; i++)
		CHECK_EQ(cpu_wait(&vm.cpus[i]), KVM_EXIT_HLT);
	for (unsigned i = 0; i < HELD; i++)
		CHECK_EQ(guest_read(c, SEALED + 64 * i), i);
}

/* --- unsealed for too long ------------------------------------------------------------------ */

static struct cpu *spins(unsigned i)
{
	struct cpu *c = &vm.cpus[i];

	memset(vm.ram + DATA, 0, 0x1000);
	CPU_START(c, r_spin, .rdi = DATA, .rsi = DATA + 64);
	return c;
}

static void ends(struct cpu *c)
{
	vm.ram[DATA] = 1;
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
}

void unsealed_told_once(void)
{
	struct rf_msg_event ev;
	struct cpu *c;

	monitor_rules.unsealed_ms = 200;
	protected_machine(1);
	fill_pattern();
	c = spins(0); /* long mode, and nothing announced */
	ev = monitor_await_event(RF_EVENT_UNSEALED, 1);
	CHECK_EQ(ev.vcpu, 0);
	CHECK_EQ(ev.regs.cr3, 0x1000);
	CHECK(ev.regs.rip >= cpu_code(c) && ev.regs.rip < cpu_code(c) + 0x20);
	usleep(1300000);
	CHECK_EQ(monitor_events(), 1); /* once */
	ends(c);
	/* Announced and not sealed: the time goes on, and it has been told. */
	kernel_goes_on(kernel_starts(1));
	c = spins(0);
	usleep(1300000);
	ends(c);
	CHECK_EQ(monitor_events_of(RF_EVENT_UNSEALED), 1);
	/* A reset is another guest. */
	machine_reset();
	c = spins(0);
	monitor_await_event(RF_EVENT_UNSEALED, 2);
	ends(c);
}

void unsealed_none(void)
{
	struct rf_msg_event ev;
	struct cpu *c;
	uint64_t kernel;

	monitor_rules.unsealed_ms = 100;
	kernel = sealed_machine(2);
	c = spins(0);
	usleep(1300000);
	ends(c);
	CHECK_EQ(monitor_events(), 1);
	/* A guest that is loaded and held until it is sealed has run for no time at all. */
	for (int i = 0; i < 2; i++) {
		cpu_set_msr(&vm.cpus[i], LSTAR, ENTRY_2);
		cpu_put_mp_state(&vm.cpus[i]);
	}
	c = spins(0);
	CPU_START(&vm.cpus[1], r_spin, .rdi = DATA, .rsi = DATA + 128);
	ev = monitor_await_event(RF_EVENT_KERNEL, 2);
	CHECK(ev.id > kernel);
	usleep(2300000);
	CHECK_EQ(monitor_events_of(RF_EVENT_UNSEALED), 0);
	CHECK_EQ(seal_both(ev.id), 0);
	monitor_allow(ev.id);
	await_change(DATA + 128, 0);
	ends(c);
	CHECK_EQ(cpu_wait(&vm.cpus[1]), KVM_EXIT_HLT);
	CHECK_EQ(monitor_events_of(RF_EVENT_UNSEALED), 0);
}
