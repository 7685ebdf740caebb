// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A vCPU that halts inside of KVM: the LAPICs are KVM's there, the PIC the VMM's (a split irqchip), so
 * that HLT is no exit.
 */
#include <sys/ioctl.h>

#include "tests/kvm/scenario.h"

GUEST(h_halt, "sti\n hlt\n cli\n out %al, $0x98");
GUEST(h_wrmsr, "wrmsr\n out %al, $0x99");

#define STUB31 (0x7000 + 31 * 16) /* what interrupt 31 leads to: machine.c */
#define INTERRUPTED 0x97

static atomic_bool line;  /* the VMM's PIC asks for an interrupt */
static atomic_uint waits; /* KVM_RUNs since then with which it could not be queued */

/* As QEMU does it: target/i386/kvm/kvm.c kvm_arch_pre_run(), and the loop around it. */
static void *run_with_pic(void *arg)
{
	struct cpu *c = arg;

	cpu_is_mine(c);
	for (;;) {
		struct kvm_interrupt irq = { .irq = 31 };

		if (atomic_load(&line) && c->run->ready_for_interrupt_injection) {
			atomic_store(&line, false);
			CHECK_EQ(cpu_ioctl(c, KVM_INTERRUPT, &irq), 0);
		}
		waits += atomic_load(&line);
		c->run->request_interrupt_window = atomic_load(&line);
		c->result = cpu_ioctl(c, KVM_RUN, NULL);
		if (c->result < 0) {
			CHECK_EQ(errno, EINTR);
			c->run->immediate_exit = 0;
		} else if (c->run->exit_reason != KVM_EXIT_IRQ_WINDOW_OPEN) {
			return NULL;
		}
	}
}

static void halts(struct cpu *c)
{
	const uint8_t out[] = { 0xe6, INTERRUPTED, 0xf4 };
	struct kvm_regs r = { .rflags = 2, .rsp = STACK + 0x1000, .rip = cpu_code(c) };

	memcpy(vm.ram + STUB31, out, sizeof(out));
	memcpy(vm.ram + r.rip, h_halt, (size_t)(h_halt_end - h_halt));
	CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &r), 0);
	CHECK_EQ(pthread_create(&c->thread, NULL, run_with_pic, c), 0);
	usleep(200000);
	CHECK(pthread_tryjoin_np(c->thread, NULL));
}

static void is_interrupted(struct cpu *c)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += 5;
	if (pthread_timedjoin_np(c->thread, NULL, &t))
		FAIL("it is halted still; entered %u times meanwhile", atomic_load(&waits));
	CHECK_EQ(c->run->exit_reason, KVM_EXIT_IO);
	CHECK_EQ(c->run->io.port, INTERRUPTED);
}

static void one_interrupt(void)
{
	struct cpu *c = &vm.cpus[0];

	halts(c);
	atomic_store(&line, true);
	cpu_kick(c);
	is_interrupted(c);
}

/* What KVM does by itself. */
void halted_without_fence(void)
{
	machine_need_kvm();
	machine_split_irqchip();
	machine_create(1);
	one_interrupt();
}

/* The VMM hears that it may queue the interrupt, and the guest has it. */
void halted_and_interrupted(void)
{
	machine_split_irqchip();
	protected_machine(1);
	one_interrupt();
}

uint64_t sealed_with_lapic(void)
{
	struct cpu *c;
	uint64_t kernel;

	machine_split_irqchip();
	protected_machine(1);
	c = &vm.cpus[0];
	fill_pattern();
	CPU_START(c, h_wrmsr, .rcx = LSTAR, .rax = (uint32_t)KERNEL_ENTRY,
		  .rdx = KERNEL_ENTRY >> 32);
	kernel = monitor_event(0, RF_EVENT_KERNEL).id;
	CHECK_EQ(seal_both(kernel), 0);
	monitor_allow(kernel);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_IO);
	return kernel;
}

/* The VMM's interrupt comes as its registers are asked about. */
void halted_beside_a_question(void)
{
	uint64_t kernel = sealed_with_lapic();
	struct cpu *c = &vm.cpus[0];
	struct rf_msg_event ev;

	halts(c);
	compare_every(kernel, 50);
	cpu_kick(c); /* the VMM comes in: the first look is due */
	ev = monitor_await_event(RF_EVENT_TABLES, 1);
	atomic_store(&line, true);
	cpu_kick(c);
	usleep(100000);
	CHECK(atomic_load(&line)); /* it could not be queued */
	monitor_allow(ev.id);
	is_interrupted(c);
}
