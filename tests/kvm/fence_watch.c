// SPDX-License-Identifier: LGPL-2.1-or-later
/* The watched page, and sealing while every vCPU runs: nothing the guest stores may be lost. */
#include <sys/mman.h>

#include "tests/kvm/scenario.h"

#define WORD (WATCHED + 0x10)
#define RUNNING 2 /* the awaited value, as SYSTEM_RUNNING */
#define ROUNDS 400

GUEST(w_mov32, "mov %ecx, (%rdi)");
GUEST(w_mov64, "mov %rcx, (%rdi)");
GUEST(w_inc, "incq (%rdi)");
GUEST(w_lock_inc, "lock incq (%rdi)");
GUEST(w_xadd, "lock xadd %rcx, (%rdi)");
GUEST(w_xchg, "xchg %rcx, (%rdi)");
GUEST(w_cmpxchg, "lock cmpxchg %rcx, (%rdi)");
GUEST(w_sse, "movups %xmm0, (%rdi)");
GUEST(w_cmpxchg16b, "lock cmpxchg16b (%rdi)");
GUEST(w_stosq, "rep stosq");
GUEST(w_push, "push %rcx\n push %rax\n pop %rdx\n pop %rbx");
GUEST(w_hammer, "1: lock incq (%rdi)\n dec %rcx\n jnz 1b");
GUEST(w_both, "1: lock incq (%rdi)\n incq (%rsi)\n dec %rcx\n jnz 1b");
GUEST(w_spin, "1: incq (%rsi)\n pause\n cmpq $0, (%rdi)\n je 1b");

static uint64_t ram64(uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, vm.ram + gpa, sizeof(value));
	return value;
}

static uint64_t watched_machine(unsigned cpus)
{
	uint64_t kernel;

	protected_machine(cpus);
	fill_pattern();
	memset(vm.ram + WATCHED, 0, 0x1000);
	kernel = kernel_starts(0);
	CHECK_EQ(monitor_watch(kernel, WORD, 4, RUNNING), 0);
	CHECK_EQ(monitor_board()->state, RF_VM_WATCHED);
	kernel_goes_on(kernel);
	return kernel;
}

/* How this KVM reports a store to a page that the host maps read-only is not asked: both forms must do. */
void watch_hits(void)
{
	struct cpu *c;
	struct rf_msg_event ev;
	uint64_t kernel = watched_machine(1);

	c = &vm.cpus[0];
	CPU_DO(c, w_mov32, .rdi = WORD, .rcx = 1); /* another value */
	CPU_DO(c, w_mov32, .rdi = WORD + 4, .rcx = RUNNING); /* another word */
	CPU_DO(c, w_mov64, .rdi = WORD - 8, .rcx = RUNNING);
	CHECK_EQ(guest_read(c, WORD), (uint64_t)RUNNING << 32 | 1);
	CHECK_EQ(ram64(WORD), (uint64_t)RUNNING << 32 | 1); /* the VMM's page is kept alike */
	CHECK_EQ(monitor_events(), 1);

	CPU_START(c, w_mov32, .rdi = WORD, .rcx = RUNNING);
	ev = monitor_event(1, RF_EVENT_WATCH);
	CHECK_EQ(ev.watch.gpa, WORD);
	CHECK_EQ(ev.watch.new_value, RUNNING);
	CHECK_EQ(ev.vcpu, 0);
	CHECK_EQ(ram64(WORD) & UINT32_MAX, RUNNING); /* it has happened */
	CHECK_EQ(ev.regs.rip, cpu_code(c) + (size_t)(w_mov32_end - w_mov32) - 1);
	usleep(50000);
	CHECK_EQ(monitor_count(RF_COUNT_ALLOWED), 1); /* and the vCPU waits */
	CHECK_EQ(seal_both(kernel), 0);
	monitor_allow(ev.id);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	check_pattern(c, SEALED);
	/* The watch ended with the seal. */
	CPU_DO(c, w_mov32, .rdi = WORD, .rcx = 3);
	CPU_DO(c, w_mov32, .rdi = WORD, .rcx = RUNNING);
	CHECK_EQ(monitor_events(), 2);
	CHECK_EQ(ram64(WORD) & UINT32_MAX, RUNNING);
}

/* Told once for each time the word takes the value, not for each store that leaves it there. */
static bool allow_and_reopen(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	return true;
}

static void neighbours(unsigned cpus)
{
	static const struct {
		const char *name;
		const uint8_t *code, *end;
		uint64_t rdi, rcx, rax;
		uint64_t want;
	} stores[] = {
#define ONE(code, ...) { #code, code, code##_end, __VA_ARGS__ }
		ONE(w_mov64, WATCHED + 0x100, 7, 0, 7),
		ONE(w_inc, WATCHED + 0x100, 0, 0, 8),
		ONE(w_lock_inc, WATCHED + 0x100, 0, 0, 9),
		ONE(w_xadd, WATCHED + 0x100, 5, 0, 14),
		ONE(w_xchg, WATCHED + 0x100, 99, 0, 99),
		ONE(w_cmpxchg, WATCHED + 0x100, 100, 99, 100),
		ONE(w_cmpxchg, WATCHED + 0x100, 101, 55, 100),
		ONE(w_stosq, WATCHED + 0x100, 20, 0x66, 0x66),
		ONE(w_mov64, WATCHED + 0xffc, 0x1111222233334444, 0, 0x1111222233334444),
		ONE(w_mov64, WATCHED - 4, 0x5555666677778888, 0, 0x5555666677778888),
		ONE(w_sse, WATCHED + 0x200, 0, 0, 0),
#undef ONE
	};
	struct cpu *c;

	watched_machine(cpus);
	c = &vm.cpus[cpus - 1];
	monitor_set_judge(allow_and_reopen);
	for (size_t i = 0; i < COUNT(stores); i++) {
		uint64_t rdi = stores[i].rdi;
		uint64_t count = monitor_count(RF_COUNT_WATCH);

		cpu_do(c, stores[i].code, stores[i].end,
		       (struct kvm_regs){ .rdi = rdi, .rcx = stores[i].rcx, .rax = stores[i].rax });
		if (guest_read(c, rdi) != stores[i].want)
			FAIL("%s: %#llx", stores[i].name, (unsigned long long)guest_read(c, rdi));
		CHECK_EQ(ram64(rdi), stores[i].want);
		CHECK(monitor_count(RF_COUNT_WATCH) > count);
	}
	/* A stack there: pushes, and pops that read them. */
	CHECK_EQ(CPU_DO(c, w_push, .rsp = WATCHED + 0x800, .rcx = 31, .rax = 32).rbx, 31);
	CHECK_EQ(ram64(WATCHED + 0x800 - 8), 31);
	CHECK_EQ(ram64(WATCHED + 0x800 - 16), 32);
	CHECK_EQ(monitor_events(), 1);

	/* Every vCPU hammers one word with locked increments. */
	memset(vm.ram + DATA, 0, 0x1000);
	for (unsigned i = 0; i < cpus; i++)
		CPU_START(&vm.cpus[i], w_both, .rdi = WATCHED + 0x300, .rsi = DATA + 64 * i,
			  .rcx = ROUNDS);
	for (unsigned i = 0; i < cpus; i++)
		CHECK_EQ(cpu_wait(&vm.cpus[i]), KVM_EXIT_HLT);
	CHECK_EQ(guest_read(c, WATCHED + 0x300), cpus * ROUNDS);
	CHECK_EQ(ram64(WATCHED + 0x300), cpus * ROUNDS);
	for (unsigned i = 0; i < cpus; i++)
		CHECK_EQ(ram64(DATA + 64 * i), ROUNDS);

	/* The same while the word takes its value, again and again: told exactly that often. */
	for (unsigned i = 1; i < cpus; i++)
		CPU_START(&vm.cpus[i], w_hammer, .rdi = WATCHED + 0x308, .rcx = ROUNDS);
	for (int round = 0; round < 20; round++) {
		CPU_DO(&vm.cpus[0], w_mov32, .rdi = WORD, .rcx = 1);
		CPU_DO(&vm.cpus[0], w_mov32, .rdi = WORD, .rcx = RUNNING);
		CPU_DO(&vm.cpus[0], w_mov32, .rdi = WORD, .rcx = RUNNING);
	}
	for (unsigned i = 1; i < cpus; i++)
		CHECK_EQ(cpu_wait(&vm.cpus[i]), KVM_EXIT_HLT);
	CHECK_EQ(monitor_events_of(RF_EVENT_WATCH), 20);
	CHECK_EQ(guest_read(c, WATCHED + 0x308), (cpus - 1) * ROUNDS);
}

void watch_neighbours_1(void)
{
	neighbours(1);
}

void watch_neighbours_2(void)
{
	neighbours(2);
}

void watch_neighbours_4(void)
{
	neighbours(4);
}

void watch_rules(void)
{
	uint64_t kernel, id;

	protected_machine(1);
	memset(vm.ram + WATCHED, 0, 0x1000);
	CHECK_EQ(machine_slot(1, KVM_MEM_READONLY, SPARE, 0x1000, vm.ram), 0);
	kernel = kernel_starts(0);
	CHECK_EQ(monitor_watch(kernel, WORD, 3, 1), -EINVAL);
	CHECK_EQ(monitor_watch(kernel, WORD + 2, 4, 1), -EINVAL);
	CHECK_EQ(monitor_watch(kernel, WORD + 4, 8, 1), -EINVAL);
	CHECK_EQ(monitor_watch(kernel, NOWHERE, 8, 1), -EINVAL);
	CHECK_EQ(monitor_watch(kernel, SPARE, 8, 1), -EINVAL); /* ROM */
	CHECK_EQ(monitor_watch(kernel, UINT64_MAX - 7, 8, 1), -EINVAL);
	CHECK_EQ(monitor_watch(kernel + 1, WORD, 4, 1), -ESTALE);
	CHECK_EQ(monitor_watch(kernel, WORD, 4, 0), -EALREADY); /* it is there already */
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	CHECK_EQ(monitor_watch(kernel, WORD, 4, 1), 0);
	CHECK_EQ(monitor_watch(kernel, WORD + 0x1000, 8, 1), 0); /* another instead */
	kernel_goes_on(kernel);
	monitor_set_judge(allow);
	CPU_DO(&vm.cpus[0], w_mov64, .rdi = WORD, .rcx = 1);
	CHECK_EQ(monitor_events(), 1);
	CPU_DO(&vm.cpus[0], w_mov64, .rdi = WORD + 0x1000, .rcx = 1);
	id = monitor_event(1, RF_EVENT_WATCH).id;
	CHECK(id > kernel);
	CHECK_EQ(guest_read(&vm.cpus[0], WORD), 1);
	CHECK_EQ(guest_read(&vm.cpus[0], WORD + 0x1000), 1);
}

/* Four vCPUs run, three of them storing into the watched page and the pages about to be cut; then the seal lands. */
void seal_under_load(void)
{
	uint64_t kernel = watched_machine(4), one = 1;
	struct rf_msg_event ev;

	memset(vm.ram + DATA, 0, 0x1000);
	memset(vm.ram + SEALED - 0x1000, 0, 8);
	for (unsigned i = 1; i < 4; i++)
		CPU_START(&vm.cpus[i], w_both, .rcx = 20000,
			  .rsi = i == 3 ? WATCHED + 0x500 : DATA + 64 * i, /* plain stores there too */
			  .rdi = i == 1 ? WATCHED + 0x300 : i == 2 ? SEALED - 0x1000 : DATA + 8);
	CPU_START(&vm.cpus[0], w_mov32, .rdi = WORD, .rcx = RUNNING);
	ev = monitor_event(1, RF_EVENT_WATCH);
	CHECK_EQ(seal_both(kernel), 0);
	monitor_allow(ev.id);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(cpu_wait(&vm.cpus[i]), KVM_EXIT_HLT);
	CHECK_EQ(ram64(WATCHED + 0x300), 20000);
	CHECK_EQ(ram64(SEALED - 0x1000), 20000);
	CHECK_EQ(ram64(DATA + 8), 20000);
	CHECK_EQ(ram64(DATA + 64), 20000);
	CHECK_EQ(ram64(DATA + 128), 20000);
	CHECK_EQ(ram64(WATCHED + 0x500), 20000);
	CHECK(monitor_board()->seal_ns > 0);
	for (unsigned i = 0; i < 4; i++)
		check_pattern(&vm.cpus[i], SEALED);
	/* Nobody exits any more once all is sealed. */
	one = monitor_count(RF_COUNT_RUN);
	CPU_DO(&vm.cpus[1], w_hammer, .rdi = WATCHED + 0x300, .rcx = 1000);
	CHECK(monitor_count(RF_COUNT_RUN) - one < 10);
	CHECK_EQ(monitor_events(), 2);
}
