// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A guest that has its registers as they must be wherever it chooses to leave, and others whenever it
 * runs: looked at where it does not choose to be.
 */
#include <sys/ioctl.h>
#include <time.h>

#include "tests/kvm/scenario.h"

#define GOOD DATA /* operands of LIDT, and the IDT of the attacker's */
#define EVIL (DATA + 16)
#define COUNTER (DATA + 64) /* what it works at */
#define EVIL_IDT 0x31000
#define TICK 0x8000 /* the timer's handler */
#define IDT 0x5000  /* machine.c */
#define APIC_BASE 0x1b
#define X2APIC 0xc00
#define PGE UINT64_C(0x80)
#define STOPS_AT_MOST 240 /* of 50 ms: where it chooses, until it is found so often elsewhere */

/* rdi, r8: IDT and CR4 as they must be, rsi, r9: others; it works with them for r10 ticks of the TSC. */
#define WORKS                                                                                      \
	"lidt (%rsi)\n mov %r9, %cr4\n"                                                            \
	"rdtsc\n shl $32, %rdx\n or %rdx, %rax\n lea (%rax, %r10), %rbx\n"                         \
	"2: incq (%rbp)\n rdtsc\n shl $32, %rdx\n or %rdx, %rax\n cmp %rbx, %rax\n jb 2b\n"        \
	"mov %r8, %cr4\n lidt (%rdi)\n"
GUEST(l_leaves, "1: " WORKS "out %al, $0x98\n jmp 1b");
/* With a LAPIC of KVM's, whose timer (interrupt 31) wakes it each r11 nanoseconds: x2APIC. */
GUEST(l_halts, "mov $0x80f, %ecx\n mov $0x1ff, %eax\n xor %edx, %edx\n wrmsr\n" /* SVR */
	       "mov $0x83e, %ecx\n mov $0xb, %eax\n wrmsr\n"		       /* divide by 1 */
	       "mov $0x832, %ecx\n mov $0x2001f, %eax\n wrmsr\n"		       /* periodic */
	       "mov $0x838, %ecx\n mov %r11, %rax\n wrmsr\n"		       /* count */
	       "1: " WORKS "sti\n hlt\n cli\n jmp 1b");
GUEST(l_tick, "push %rax\n push %rcx\n push %rdx\n mov $0x80b, %ecx\n xor %eax, %eax\n"
	      "xor %edx, %edx\n wrmsr\n pop %rdx\n pop %rcx\n pop %rax\n iretq"); /* EOI */

static atomic_uint tables_found, cr_found, stops;

static bool deny(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_TABLES && ev->tables.idt.base == EVIL_IDT) {
		atomic_fetch_add(&tables_found, 1);
		v->verdict = RF_VERDICT_DENY;
	}
	if (ev->kind == RF_EVENT_CR) {
		atomic_fetch_add(&cr_found, 1);
		v->verdict = RF_VERDICT_DENY;
		v->vector = 0;
	}
	return true;
}

static uint64_t ticks_of_us(const struct cpu *c, uint64_t us)
{
	int khz = ioctl(c->fd, KVM_GET_TSC_KHZ, 0);

	if (khz <= 0)
		SKIP("KVM does not say how fast the TSC is");
	return us * (uint64_t)khz / 1000;
}

static void put_operand(uint64_t gpa, uint64_t base)
{
	const uint16_t limit = 0x2ff;

	memcpy(vm.ram + gpa, &limit, 2);
	memcpy(vm.ram + gpa + 2, &base, 8);
}

/* Pinned and compared. The registers it starts with. */
static struct kvm_regs looked_at(uint64_t kernel, uint32_t ms, uint64_t works_us)
{
	struct rf_msg_pin m = { .kernel = kernel, .cr4 = PGE };
	struct cpu *c = &vm.cpus[0];
	struct kvm_sregs s;

	memcpy(vm.ram + EVIL_IDT, vm.ram + IDT, 0x300);
	put_operand(GOOD, IDT);
	put_operand(EVIL, EVIL_IDT);
	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	s.cr4 |= PGE;
	CHECK_EQ(cpu_ioctl(c, KVM_SET_SREGS, &s), 0);
	rf_msg_init(&m.h, RF_MSG_PIN, 0);
	CHECK_EQ(monitor_command(&m.h), 0);
	monitor_set_judge(deny);
	compare_every(kernel, ms);
	return (struct kvm_regs){ .rip = cpu_code(c),
				  .rsp = STACK + 0x1000,
				  .rflags = 2,
				  .rdi = GOOD,
				  .rsi = EVIL,
				  .r8 = s.cr4,
				  .r9 = s.cr4 & ~PGE,
				  .r10 = ticks_of_us(c, works_us),
				  .rbp = COUNTER };
}

/* Both were found, the bits so often: each time that they are put back it was looked at twice. */
static bool is_found(unsigned times)
{
	return atomic_load(&cr_found) >= times && atomic_load(&tables_found);
}

static void was_found(unsigned times)
{
	printf("  in %u times 50 ms: IDT %u times, CR4 %u times\n", atomic_load(&stops),
	       atomic_load(&tables_found), atomic_load(&cr_found));
	CHECK(*(volatile uint64_t *)(vm.ram + COUNTER)); /* it works */
	CHECK(is_found(times));
}

/* A VMM whose device takes its time, on the vCPU's thread. */
static void *with_slow_device(void *arg)
{
	struct timespec t;
	struct cpu *c = arg;

	cpu_is_mine(c);
	while (!is_found(4) && atomic_load(&stops) < STOPS_AT_MOST) {
		double began;

		if (cpu_ioctl(c, KVM_RUN, NULL) < 0) {
			CHECK_EQ(errno, EINTR);
			c->run->immediate_exit = 0;
			continue;
		}
		CHECK_EQ(c->run->exit_reason, KVM_EXIT_IO);
		atomic_fetch_add(&stops, 1);
		clock_gettime(CLOCK_MONOTONIC, &t);
		began = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
		do
			clock_gettime(CLOCK_MONOTONIC, &t);
		while ((double)t.tv_sec + (double)t.tv_nsec / 1e9 - began < 0.049);
	}
	return NULL;
}

/* It is inside for a fiftieth of its time: it is waited for. */
void found_beside_a_slow_device(void)
{
	struct kvm_regs r = looked_at(sealed_machine(1), 200, 1000);
	struct cpu *c = &vm.cpus[0];

	memcpy(vm.ram + r.rip, l_leaves, (size_t)(l_leaves_end - l_leaves));
	CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &r), 0);
	CHECK_EQ(pthread_create(&c->thread, NULL, with_slow_device, c), 0);
	CHECK_EQ(pthread_join(c->thread, NULL), 0);
	was_found(4);
}

/* It is inside all the time, and halted for most of it. */
void found_though_it_halts(void)
{
	const uint64_t gate = TICK | 8 << 16 | UINT64_C(0x8e00) << 32;
	uint64_t kernel = sealed_with_lapic(), apic;
	struct cpu *c = &vm.cpus[0];
	struct kvm_regs r;

	CHECK_EQ(cpu_get_msr(c, APIC_BASE, &apic), 0);
	CHECK_EQ(cpu_set_msr(c, APIC_BASE, apic | X2APIC), 0);
	memcpy(vm.ram + TICK, l_tick, (size_t)(l_tick_end - l_tick));
	memcpy(vm.ram + IDT + 31 * 16, &gate, 8);
	r = looked_at(kernel, 100, 700);
	r.r11 = 10000000;
	cpu_start(c, l_halts, l_halts_end, &r);
	for (; !is_found(2) && stops < STOPS_AT_MOST; stops++)
		usleep(50000);
	was_found(2);
}
