// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pinned bits of CR4, with the test in the place of the host's watch: it marks and signals as the
 * BPF program would, though not at once, so the guest waits for it.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/vmx/crwatch.h"
#include "hv/fence.h"
#include "tests/kvm/scenario.h"

/* Says that it is done, then spins. */
GUEST(c_clear_and_spin, "mov %rax, %cr4\n mov %rbx, (%rcx)\n 1: jmp 1b");
GUEST(c_clear, "mov %rax, %cr4");
GUEST(c_nothing, "nop");
/* With the trap flag set: clears it and sets it again, for ever. */
GUEST(c_clears_stepping, "pushfq\n orq $0x100, (%rsp)\n popfq\n"
			 "1: mov %rax, %cr4\n incq (%rcx)\n mov %rbx, %cr4\n jmp 1b");
#define STEPPED_MOV 10 /* of it: where the first MOV is */
#define MOV_LEN 3

#define PGE UINT64_C(0x80)
#define PCE UINT64_C(0x100)
#define PVI UINT64_C(2) /* not set */
#define TF UINT64_C(0x100)
#define DB_STUB (0x7000 + 16) /* where a #DB leads: machine.c */
#define LINE 0xd0a7a

static struct rf_cr_page *page;

static void offer_page(void)
{
	int fd = memfd_create("page", 0);
	char text[16];

	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, sizeof(*page)), 0);
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(page != MAP_FAILED);
	page->magic = RF_CR_MAGIC;
	page->revision = RF_CR_REVISION;
	snprintf(text, sizeof(text), "%d", fd);
	CHECK_EQ(setenv(RF_CR_ENVIRONMENT, text, 1), 0);
}

static uint64_t cr4(struct cpu *c)
{
	struct kvm_sregs s;

	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	return s.cr4;
}

static void put_cr4(struct cpu *c, uint64_t value)
{
	struct kvm_sregs s;

	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	s.cr4 = value;
	CHECK_EQ(cpu_ioctl(c, KVM_SET_SREGS, &s), 0);
}

static int pin_bits(uint64_t kernel, uint64_t bits)
{
	struct rf_msg_pin m = { .kernel = kernel, .cr4 = bits };

	rf_msg_init(&m.h, RF_MSG_PIN, 0);
	return monitor_command(&m.h);
}

static int pin(uint64_t kernel)
{
	return pin_bits(kernel, PGE | PVI);
}

static uint64_t pinned_machine(unsigned cpus)
{
	uint64_t kernel = sealed_machine(cpus);

	for (unsigned i = 0; i < cpus; i++)
		put_cr4(&vm.cpus[i], cr4(&vm.cpus[i]) | PGE);
	CHECK_EQ(pin(kernel), 0);
	return kernel;
}

/* The guest has cleared it and spins. */
static void clears(struct cpu *c)
{
	volatile uint64_t *said = (volatile uint64_t *)(vm.ram + DATA);

	*said = 0;
	CPU_START(c, c_clear_and_spin, .rax = cr4(c) & ~PGE, .rbx = LINE, .rcx = DATA);
	for (int i = 0; i < 20000 && *said != LINE; i++)
		usleep(1000);
	CHECK_EQ(*said, LINE);
}

static void mark(struct cpu *c)
{
	__atomic_fetch_add(&page->cleared, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&page->slots[c->index], PGE, __ATOMIC_SEQ_CST);
}

/* Back on the instruction, with a fault. */
static bool deny_cr(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind != RF_EVENT_CR)
		return true;
	v->verdict = RF_VERDICT_DENY;
	v->vector = ev->cr.interrupted ? 13 : 0;
	memcpy(v->gpr, ev->regs.gpr, sizeof(v->gpr));
	v->rip = CODE + ev->vcpu * 0x1000;
	v->rflags = ev->regs.rflags;
	return true;
}

void cr_put_back(void)
{
	struct rf_msg_event ev;
	struct fault f;
	struct cpu *c;

	offer_page();
	pinned_machine(2);
	CHECK_EQ(monitor_board()->cr_watch, 1);
	CHECK_EQ(monitor_board()->cr4_pinned, PGE); /* the other one is not set */
	CHECK_EQ(page->cr4_pinned, PGE);
	CHECK_EQ(page->cr0_pinned, 0);
	c = &vm.cpus[1];
	monitor_set_judge(deny_cr);
	clears(c);
	CHECK_EQ(monitor_events_of(RF_EVENT_CR), 0);
	mark(c);
	CHECK_EQ(pthread_kill(c->thread, (int)page->signal), 0);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(cpu_faulted(c, &f));
	CHECK_EQ(f.vector, 13);
	CHECK_EQ(f.rip, cpu_code(c));
	CHECK(cr4(c) & PGE);
	ev = monitor_event(monitor_events() - 1, RF_EVENT_CR);
	CHECK_EQ(ev.vcpu, 1);
	CHECK_EQ(ev.cr.cr4_bits, PGE);
	CHECK_EQ(ev.cr.cr0_bits, 0);
	CHECK_EQ(ev.cr.cr4, cr4(c) & ~PGE);
	CHECK_EQ(ev.cr.interrupted, 1);
	CHECK(ev.regs.cr4 & PGE);
	CHECK_EQ(monitor_count(RF_COUNT_CR), 1);
	CHECK_EQ(page->slots[1], 0);
}

static atomic_uint denied;

/* As the monitor does: a fault where the MOV is what ran last. */
static bool deny_at_the_mov(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	deny_cr(ev, v);
	if (ev->kind != RF_EVENT_CR)
		return true;
	v->vector = ev->cr.interrupted && ev->regs.rip == CODE + STEPPED_MOV + MOV_LEN ? 13 : 0;
	v->rip = CODE + STEPPED_MOV;
	atomic_fetch_add(&denied, v->vector == 13);
	return true;
}

/*
 * With the trap flag set KVM has a #DB waiting behind the MOV, and says of it that it is injected, as
 * if it had begun to deliver it. PCE: KVM sees each change of it on every CPU. Not each try is met
 * there.
 */
void cr_cleared_while_stepping(void)
{
	const uint8_t iretq[] = { 0x48, 0xcf };
	struct fault f = { 0 };
	uint64_t kernel;
	struct cpu *c;

	offer_page();
	kernel = sealed_machine(1);
	c = &vm.cpus[0];
	put_cr4(c, cr4(c) | PCE);
	CHECK_EQ(pin_bits(kernel, PCE), 0);
	monitor_set_judge(deny_at_the_mov);
	memcpy(vm.ram + DB_STUB, iretq, sizeof(iretq));
	for (unsigned round = 1; round <= 30; round++) {
		put_cr4(c, cr4(c) | PCE);
		CPU_START(c, c_clears_stepping, .rax = cr4(c) & ~PCE, .rbx = cr4(c), .rcx = DATA);
		for (int i = 0; i < 40000 && atomic_load(&denied) < round; i++) {
			__atomic_fetch_or(&page->slots[0], PCE, __ATOMIC_SEQ_CST);
			pthread_kill(c->thread, (int)page->signal);
			usleep(200);
		}
		CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
		CHECK(cpu_faulted(c, &f));
		CHECK_EQ(f.vector, 13);
		CHECK_EQ(f.rip, CODE + STEPPED_MOV);
		CHECK_EQ(atomic_load(&denied), round);
	}
}

/* The same once its delivery has begun, as a VMM leaves it that has read and put back what waits. */
void cr_cleared_and_stepped(void)
{
	struct kvm_vcpu_events e;
	struct fault f;
	struct cpu *c;

	offer_page();
	pinned_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(deny_cr);
	for (uint64_t flags = 0; flags <= TF; flags += TF) {
		struct kvm_regs r = { .rip = CODE + MOV_LEN, .rsp = STACK + 0x1000, .rflags = 2 | flags };

		put_cr4(c, cr4(c) & ~PGE);
		CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &r), 0);
		CHECK_EQ(cpu_ioctl(c, KVM_GET_VCPU_EVENTS, &e), 0);
		e.flags = 0;
		e.exception.injected = flags != 0;
		e.exception.nr = 1;
		CHECK_EQ(cpu_ioctl(c, KVM_SET_VCPU_EVENTS, &e), 0);
		mark(c);
		c->run->immediate_exit = 1;
		CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), -1);
		c->run->immediate_exit = 0;
		CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), 0);
		CHECK_EQ(c->run->exit_reason, KVM_EXIT_HLT);
		CHECK(cpu_faulted(c, &f));
		CHECK_EQ(f.vector, 13);
		CHECK_EQ(f.rip, CODE);
		CHECK(cr4(c) & PGE);
	}
	CHECK_EQ(monitor_events_of(RF_EVENT_CR), 2);
}

/* Noticed after another exit: put back before the guest runs on, told of, no fault. */
void cr_put_back_late(void)
{
	struct rf_msg_event ev;
	struct fault f;
	struct cpu *c;

	offer_page();
	pinned_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(deny_cr);
	CPU_DO(c, c_clear, .rax = cr4(c) & ~PGE);
	CHECK(!(cr4(c) & PGE));
	mark(c);
	CPU_START(c, c_nothing, .rax = 1);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(cr4(c) & PGE);
	CPU_START(c, c_nothing, .rax = 1);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(!cpu_faulted(c, &f));
	ev = monitor_event(monitor_events() - 1, RF_EVENT_CR);
	CHECK_EQ(ev.cr.interrupted, 0);
	CHECK_EQ(ev.cr.cr4_bits, PGE);
	CHECK_EQ(monitor_outcome(0).status, 0);
	/* A mark without a loss, as of a write that KVM refused, is nothing. */
	mark(c);
	CPU_DO(c, c_nothing, .rax = 1);
	CPU_DO(c, c_nothing, .rax = 1);
	CHECK_EQ(monitor_events_of(RF_EVENT_CR), 1);
	CHECK_EQ(page->slots[0], 0);
}

/* No signal came: the count of those lost gets the vCPU out. */
void cr_lost_signal(void)
{
	struct cpu *c;

	offer_page();
	pinned_machine(2);
	c = &vm.cpus[0];
	monitor_set_judge(deny_cr);
	clears(c);
	mark(c);
	__atomic_fetch_add(&page->lost, 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT); /* of the fault's handler */
	CHECK(cr4(c) & PGE);
	CHECK_EQ(monitor_events_of(RF_EVENT_CR), 1);
	CHECK_EQ(monitor_count(RF_COUNT_CR_LOST), 1);
	CHECK_EQ(monitor_count(RF_COUNT_CR_CLEARED), 1);
}

/* A host without a watch: the vCPU is looked at now and then. */
void cr_compared(void)
{
	struct rf_msg_traps t = { .check_ms = 20 };
	struct rf_msg_event ev;
	struct cpu *c;

	t.kernel = pinned_machine(1);
	c = &vm.cpus[0];
	CHECK_EQ(monitor_board()->cr_watch, 0);
	CHECK_EQ(monitor_board()->cr4_pinned, PGE);
	CHECK_EQ(pin(t.kernel), -EALREADY);
	monitor_set_judge(deny_cr);
	rf_msg_init(&t.h, RF_MSG_TRAPS, 0);
	CHECK_EQ(monitor_command(&t.h), 0);
	clears(c); /* and makes no exit: it is got out */
	for (int i = 0; i < 2000 && !monitor_events_of(RF_EVENT_CR); i++)
		usleep(10000);
	CHECK_EQ(monitor_events_of(RF_EVENT_CR), 1);
	ev = monitor_last_event(RF_EVENT_CR);
	CHECK_EQ(ev.cr.interrupted, 0);
	CHECK_EQ(ev.cr.cr4_bits, PGE);
	atomic_store(&c->stop, 1);
	cpu_kick(c);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_INTR);
	CHECK(cr4(c) & PGE);
}

void cr_observed(void)
{
	struct cpu *c;

	offer_page();
	pinned_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(allow);
	CPU_DO(c, c_clear, .rax = cr4(c) & ~PGE);
	mark(c);
	CPU_DO(c, c_nothing, .rax = 1);
	CHECK(cr4(c) & PGE);
	CPU_DO(c, c_nothing, .rax = 1);
	CHECK(!(cr4(c) & PGE));
	CHECK_EQ(monitor_events_of(RF_EVENT_CR), 1);
}

void cr_rules(void)
{
	struct rf_msg_pin m = { .cr4 = PGE };
	uint64_t kernel;
	struct cpu *c;

	offer_page();
	kernel = pinned_machine(2);
	c = &vm.cpus[0];
	monitor_set_judge(deny_cr);
	rf_msg_init(&m.h, RF_MSG_PIN, 0);
	m.kernel = kernel + 1;
	CHECK_EQ(monitor_command(&m.h), -ESTALE);
	/* What is pinned stays what it was, whatever the CPU has by now. */
	CPU_DO(c, c_clear, .rax = cr4(c) & ~PGE);
	CHECK_EQ(pin(kernel), -EALREADY);
	CHECK_EQ(page->cr4_pinned, PGE);
	mark(c);
	mark(&vm.cpus[1]); /* which does not run until the next kernel is pinned */
	machine_reset();
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	CHECK_EQ(page->cr4_pinned | page->cr0_pinned | page->slots[0] | page->slots[1], 0);
	CHECK_EQ(monitor_board()->cr4_pinned, 0);
	/* Ids beyond the page's slots. */
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_CREATE_VCPU, (void *)(uintptr_t)RF_CR_VCPUS), -1);
	CHECK_EQ(errno, EINVAL);
}

void cr_bad_page(void)
{
	static const char *const bad[] = { "", "x", "-1", "2", "1000000", "99999999999999999999", "7x" };
	int fd = memfd_create("short", 0);
	struct rf_cr_page *other;
	char text[16];

	machine_need_kvm();
	ask();
	for (size_t i = 0; i < COUNT(bad); i++) {
		CHECK_EQ(setenv(RF_CR_ENVIRONMENT, bad[i], 1), 0);
		CHECK_EQ(machine_try(), -1);
		CHECK_EQ(errno, EPERM);
	}
	/* Too short, then of the right size and nobody's. */
	snprintf(text, sizeof(text), "%d", fd);
	CHECK_EQ(setenv(RF_CR_ENVIRONMENT, text, 1), 0);
	CHECK_EQ(machine_try(), -1);
	CHECK_EQ(ftruncate(fd, sizeof(struct rf_cr_page)), 0);
	CHECK_EQ(machine_try(), -1);
	CHECK_EQ(errno, EPERM);
	/* Another release's. */
	other = mmap(NULL, sizeof(*other), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(other != MAP_FAILED);
	other->magic = RF_CR_MAGIC;
	other->revision = RF_CR_REVISION + 1;
	CHECK_EQ(machine_try(), -1);
	CHECK_EQ(errno, EPERM);
	other->magic = RF_CR_MAGIC + 1;
	other->revision = RF_CR_REVISION;
	CHECK_EQ(machine_try(), -1);
	unsetenv(RF_CR_ENVIRONMENT);
	protected_machine(1);
	CHECK_EQ(monitor_board()->cr_watch, 0);
}
