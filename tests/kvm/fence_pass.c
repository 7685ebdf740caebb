// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is the VMM's stays the VMM's: exits, MSR filters, guest debug, signals, kicks, devices. */
#include <signal.h>
#include <sys/eventfd.h>

#include "hv/fence.h"
#include "hv/vcpu.h"
#include "tests/kvm/scenario.h"

GUEST(p_out, "mov $0x5a, %al\n out %al, $0x80\n in $0x81, %al");
GUEST(p_mmio, "mov %rcx, (%rdi)\n mov (%rsi), %rax");
GUEST(p_crash, "ud2");
GUEST(p_wrmsr, "wrmsr");
GUEST(p_rdmsr, "rdmsr");
GUEST(p_steps, "nop\n nop\n mov %rcx, (%rdi)\n nop");
GUEST(p_breakpoint, "lock incq (%rdi)\n int3");
GUEST(p_int3, "int3");
GUEST(p_store, "mov %rcx, (%rdi)");
GUEST(p_spin, "1: incq (%rsi)\n pause\n cmpq $0, (%rdi)\n je 1b");
GUEST(p_both, "mov %rcx, (%rdi)\n mov %rcx, (%rsi)");

#define UNKNOWN_MSR 0x35 /* MSR_CORE_THREAD_COUNT, which QEMU filters */

static void run_to(struct cpu *c, uint32_t reason)
{
	do
		c->result = cpu_ioctl(c, KVM_RUN, NULL);
	while (c->result < 0 && errno == EINTR);
	CHECK_EQ(c->result, 0);
	CHECK_EQ(c->run->exit_reason, reason);
}

void exits_pass(void)
{
	struct cpu *c;
	struct kvm_sregs s;
	uint64_t exits;

	sealed_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(allow);
	exits = monitor_count(RF_COUNT_EXIT);
	CPU_START(c, p_out);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_IO);
	CHECK_EQ(c->run->io.direction, KVM_EXIT_IO_OUT);
	CHECK_EQ(c->run->io.port, 0x80);
	CHECK_EQ(((uint8_t *)c->run)[c->run->io.data_offset], 0x5a);
	run_to(c, KVM_EXIT_IO);
	CHECK_EQ(c->run->io.direction, KVM_EXIT_IO_IN);
	((uint8_t *)c->run)[c->run->io.data_offset] = 0x33;
	run_to(c, KVM_EXIT_HLT);
	CHECK_EQ(cpu_regs(c).rax & 0xff, 0x33);

	CPU_START(c, p_mmio, .rdi = NOWHERE + 8, .rsi = NOWHERE + 16, .rcx = 0x1234);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_MMIO);
	CHECK_EQ(c->run->mmio.phys_addr, NOWHERE + 8);
	CHECK_EQ(c->run->mmio.is_write, 1);
	CHECK_EQ(*(uint16_t *)(void *)c->run->mmio.data, 0x1234);
	run_to(c, KVM_EXIT_MMIO);
	CHECK_EQ(c->run->mmio.phys_addr, NOWHERE + 16);
	CHECK_EQ(c->run->mmio.is_write, 0);
	memset(c->run->mmio.data, 0x42, 8);
	run_to(c, KVM_EXIT_HLT);
	CHECK_EQ(cpu_regs(c).rax, UINT64_C(0x4242424242424242));

	/* A store to sealed memory, then one that is the VMM's: each goes its way. */
	CPU_START(c, p_both, .rdi = SEALED, .rsi = NOWHERE, .rcx = 7);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_MMIO);
	CHECK_EQ(c->run->mmio.phys_addr, NOWHERE);
	run_to(c, KVM_EXIT_HLT);
	CHECK_EQ(guest_read(c, SEALED), 7);

	CHECK_EQ(monitor_count(RF_COUNT_EXIT) - exits, 9);

	/* Triple fault. */
	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	s.idt.limit = 0;
	CHECK_EQ(cpu_ioctl(c, KVM_SET_SREGS, &s), 0);
	CPU_START(c, p_crash);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_SHUTDOWN);
	CHECK_EQ(monitor_events(), 2);
	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
}

/* --- MSRs --------------------------------------------------------------------------------------------- */

static int filter_msr(uint32_t index, uint32_t flags, unsigned ranges)
{
	static uint8_t none;
	struct kvm_msr_filter f = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };

	for (unsigned i = 0; i < ranges; i++)
		f.ranges[i] = (struct kvm_msr_filter_range){ flags, 1, index + i, &none };
	return rf_fence_ioctl(vm.vm, KVM_X86_SET_MSR_FILTER, &f);
}

static uint64_t faults_at(struct cpu *c, const uint8_t *code, const uint8_t *end, uint32_t msr)
{
	struct fault f;

	cpu_start(c, code, end, &(struct kvm_regs){ .rcx = msr });
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	return cpu_faulted(c, &f) ? f.vector : 0;
}

/* The VMM filters without asking for exits: the guest gets #GP, as from KVM alone. */
void vmm_msr_filter(void)
{
	struct cpu *c;
	uint64_t kernel;
	uint32_t tsc_aux = 0xc0000103;

	protected_machine(1);
	c = &vm.cpus[0];
	CHECK_EQ(filter_msr(tsc_aux, KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, 1), 0);
	CHECK_EQ(faults_at(c, p_wrmsr, p_wrmsr_end, tsc_aux), 13);
	CHECK_EQ(faults_at(c, p_rdmsr, p_rdmsr_end, tsc_aux), 13);
	CHECK_EQ(faults_at(c, p_rdmsr, p_rdmsr_end, LSTAR), 0);
	CHECK_EQ(filter_msr(tsc_aux, KVM_MSR_FILTER_READ, 15), 0);
	CHECK_EQ(filter_msr(tsc_aux, KVM_MSR_FILTER_READ, 16), -1);
	CHECK_EQ(errno, ENOSPC); /* one of the sixteen is ours */
	/* Our own stands whatever the VMM filters. */
	CHECK_EQ(filter_msr(LSTAR, KVM_MSR_FILTER_READ, 1), 0);
	CHECK_EQ(faults_at(c, p_rdmsr, p_rdmsr_end, LSTAR), 13);
	CHECK_EQ(filter_msr(0, 0, 0), 0);
	CHECK_EQ(faults_at(c, p_rdmsr, p_rdmsr_end, LSTAR), 0);
	kernel = kernel_starts(0);
	kernel_goes_on(kernel);
}

/* The VMM asks for the exits, as QEMU does: it gets its own and not ours. */
void vmm_msr_filter_with_exits(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR,
				      .args = { KVM_MSR_EXIT_REASON_FILTER } };
	struct cpu *c;
	uint64_t kernel;

	protected_machine(1);
	c = &vm.cpus[0];
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_ENABLE_CAP, &cap), 0);
	CHECK_EQ(filter_msr(UNKNOWN_MSR, KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, 1), 0);
	CPU_START(c, p_rdmsr, .rcx = UNKNOWN_MSR);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_X86_RDMSR);
	CHECK_EQ(c->run->msr.index, UNKNOWN_MSR);
	c->run->msr.data = 0x20004;
	c->run->msr.error = 0;
	run_to(c, KVM_EXIT_HLT);
	CHECK_EQ(cpu_regs(c).rax, 0x20004);
	CPU_START(c, p_wrmsr, .rcx = UNKNOWN_MSR, .rax = 3);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_X86_WRMSR);
	CHECK_EQ(c->run->msr.data, 3);
	c->run->msr.error = 0;
	run_to(c, KVM_EXIT_HLT);
	kernel = kernel_starts(0);
	kernel_goes_on(kernel);
	CHECK_EQ(monitor_count(RF_COUNT_MSR), 1);
}

/* --- guest debug ----------------------------------------------------------------------------------------- */

void vmm_debugs(void)
{
	struct kvm_guest_debug dbg = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
	struct cpu *c;
	static const uint8_t ends[] = { 1, 2, 5, 6 }; /* of each instruction */
	struct kvm_regs at = { .rflags = 2 };
	uint64_t kernel, value;

	protected_machine(1);
	c = &vm.cpus[0];
	memset(vm.ram + WATCHED, 0, 0x1000);
	kernel = kernel_starts(0);
	CHECK_EQ(monitor_watch(kernel, WATCHED, 8, 0x55), 0);
	kernel_goes_on(kernel);
	monitor_set_judge(allow);
	at.rip = cpu_code(c);
	/* KVM steps from where RIP is when it is told to (x86.c kvm_set_rflags(), singlestep_rip). */
	CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &at), 0);
	CHECK_EQ(cpu_ioctl(c, KVM_SET_GUEST_DEBUG, &dbg), 0);
	/* Each instruction, the one that stores to the watched page as any other. */
	CPU_START(c, p_steps, .rdi = WATCHED + 8, .rcx = 0x99);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_DEBUG);
	for (size_t i = 0; i < COUNT(ends); i++) {
		if (i)
			run_to(c, KVM_EXIT_DEBUG);
		/* KVM steps over the instruction behind an MMIO store too (x86.c complete_emulated_mmio(), its FIXME). */
		if (i == 2 && cpu_regs(c).rip == cpu_code(c) + ends[3])
			break;
		CHECK_EQ(cpu_regs(c).rip, cpu_code(c) + ends[i]);
	}
	memcpy(&value, vm.ram + WATCHED + 8, 8);
	CHECK_EQ(value, 0x99);
	dbg.control = 0;
	CHECK_EQ(cpu_ioctl(c, KVM_SET_GUEST_DEBUG, &dbg), 0);
	/* Not debugged: the fence's own steps are not seen. */
	CPU_DO(c, p_steps, .rdi = WATCHED + 8, .rcx = 0x77);
	CHECK_EQ(guest_read(c, WATCHED + 8), 0x77);
	/* A breakpoint of the VMM's stays while the fence steps. */
	dbg.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
	CHECK_EQ(cpu_ioctl(c, KVM_SET_GUEST_DEBUG, &dbg), 0);
	CPU_START(c, p_int3);
	if (cpu_wait(c) != KVM_EXIT_DEBUG) {
		printf("  breakpoints of the VMM are not tested: this KVM exits with %u for one\n",
		       c->run->exit_reason);
		return;
	}
	CPU_START(c, p_breakpoint, .rdi = WATCHED + 16);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_DEBUG);
	CHECK_EQ(cpu_regs(c).rip, cpu_code(c) + (size_t)(p_breakpoint_end - p_breakpoint) - 2);
	memcpy(&value, vm.ram + WATCHED + 16, 8);
	CHECK_EQ(value, 1);
}

/* --- signals and kicks --------------------------------------------------------------------------------- */

void signal_mask(void)
{
	struct {
		struct kvm_signal_mask head;
		uint8_t set[8];
	} all;
	uint64_t kernel;

	protected_machine(2);
	fill_pattern();
	memset(vm.ram + DATA, 0, 0x1000);
	kernel = kernel_starts(0);
	/* Everything blocked while the guest runs: the seal must get it out none the less. */
	all.head.len = 8;
	memset(all.head.sigset, 0xff, 8);
	CHECK_EQ(cpu_ioctl(&vm.cpus[1], KVM_SET_SIGNAL_MASK, &all), 0);
	CPU_START(&vm.cpus[1], p_spin, .rdi = DATA, .rsi = DATA + 64);
	while (!__atomic_load_n(vm.ram + DATA + 64, __ATOMIC_RELAXED))
		usleep(1000);
	CHECK_EQ(seal_both(kernel), 0);
	kernel_goes_on(kernel);
	for (int ms = 0; !atomic_load(&vm.cpus[1].eintr); ms++) { /* its thread may be slower than the seal */
		CHECK(ms < 5000);
		usleep(1000);
	}
	vm.ram[DATA] = 1;
	CHECK_EQ(cpu_wait(&vm.cpus[1]), KVM_EXIT_HLT);
	check_pattern(&vm.cpus[1], SEALED);
	/* A length that KVM refuses is refused. */
	all.head.len = 4;
	CHECK_EQ(cpu_ioctl(&vm.cpus[1], KVM_SET_SIGNAL_MASK, &all), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(cpu_ioctl(&vm.cpus[1], KVM_SET_SIGNAL_MASK, NULL), 0);
}

/* A VMM that asks for other MSR exits, or for none again: ours stay. */
void vmm_msr_exits(void)
{
	static const uint64_t asks[] = { KVM_MSR_EXIT_REASON_UNKNOWN, KVM_MSR_EXIT_REASON_INVAL, 0 };
	uint64_t kernel;

	protected_machine(1);
	fill_pattern();
	for (size_t i = 0; i < COUNT(asks); i++) {
		struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR, .args = { asks[i] } };

		CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_ENABLE_CAP, &cap), 0);
		kernel = kernel_starts(monitor_events());
		kernel_goes_on(kernel);
		machine_reset();
		monitor_event(2 * (unsigned)i + 1, RF_EVENT_RESET);
	}
}

/* A real-time signal that the VMM handles is not taken from it. */
static atomic_int heard;

static void hears(int sig)
{
	atomic_fetch_add(&heard, 1);
}

static int fds[2];

static void *kicks_late(void *arg)
{
	usleep(20000);
	pthread_kill(*(pthread_t *)arg, rf_gate_signal());
	usleep(20000);
	CHECK_EQ(write(fds[1], "", 1), 1);
	return NULL;
}

void signal_of_the_vmm(void)
{
	struct sigaction act = { .sa_handler = hears }, now;
	pthread_t thread, waits = pthread_self();
	char byte;

	machine_need_kvm();
	for (int sig = SIGRTMAX - 1; sig > SIGRTMAX - 4; sig--)
		CHECK_EQ(sigaction(sig, &act, NULL), 0);
	act.sa_handler = SIG_IGN;
	CHECK_EQ(sigaction(SIGRTMAX - 4, &act, NULL), 0);
	sealed_machine(1);
	CHECK_EQ(rf_gate_signal(), SIGRTMAX - 5);
	for (int sig = SIGRTMAX - 1; sig > SIGRTMAX - 4; sig--) {
		CHECK_EQ(sigaction(sig, NULL, &now), 0);
		CHECK(now.sa_handler == hears);
		raise(sig);
	}
	CHECK_EQ(atomic_load(&heard), 3);
	/* Ours comes late, in a system call of the VMM's: which goes on. */
	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(pthread_create(&thread, NULL, kicks_late, &waits), 0);
	CHECK_EQ(read(fds[0], &byte, 1), 1);
	pthread_join(thread, NULL);
	raise(SIGRTMAX - 4);
	/* One more VM that is refused takes no other. */
	CHECK_EQ(machine_try(), -1);
	CHECK_EQ(rf_gate_signal(), SIGRTMAX - 5);
}

static void *seals_beside(void *arg)
{
	uint64_t kernel = *(uint64_t *)arg;

	await_change(DATA + 64, 0);
	CHECK_EQ(seal_both(kernel), 0);
	vm.ram[DATA] = 1;
	return NULL;
}

/* A vCPU runs on one thread, then on another, and on the first again: a kick goes to the one it is
 * on. */
void thread_changes(void)
{
	struct kvm_regs r = { .rdi = DATA, .rsi = DATA + 64, .rflags = 2, .rsp = STACK + 0x2000 };
	uint64_t kernel;
	pthread_t thread;
	struct cpu *c;
	int result;

	protected_machine(2);
	fill_pattern();
	memset(vm.ram + DATA, 0, 0x1000);
	c = &vm.cpus[1];
	kernel = kernel_starts(0);
	c->run->immediate_exit = 1;
	CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), -1); /* on this thread */
	CHECK_EQ(errno, EINTR);
	CHECK_EQ(c->run->exit_reason, KVM_EXIT_INTR);
	c->run->immediate_exit = 0;
	guest_read(c, DATA); /* on another one */
	memcpy(vm.ram + cpu_code(c), p_spin, (size_t)(p_spin_end - p_spin));
	r.rip = cpu_code(c);
	CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &r), 0);
	CHECK_EQ(pthread_create(&thread, NULL, seals_beside, &kernel), 0);
	do
		result = cpu_ioctl(c, KVM_RUN, NULL);
	while (result < 0 && errno == EINTR);
	CHECK_EQ(result, 0);
	CHECK_EQ(c->run->exit_reason, KVM_EXIT_HLT);
	pthread_join(thread, NULL);
	kernel_goes_on(kernel);
	CHECK(monitor_count(RF_COUNT_EINTR) >= 2);
	/* What the VMM raises itself, only the VMM lowers, whatever kicks there were. */
	for (int i = 0; i < 3; i++) {
		c->run->immediate_exit = 1;
		CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), -1);
		CHECK_EQ(errno, EINTR);
		CHECK_EQ(c->run->immediate_exit, 1);
	}
	c->run->immediate_exit = 0;
}

/* The VMM gets its thread while a question is open: what KVM_RUN exited for is not its business. */
void interrupted_says_so(void)
{
	uint64_t kernel;
	struct cpu *c;

	protected_machine(1);
	c = &vm.cpus[0];
	kernel = kernel_starts(0);
	cpu_stop(c);
	CHECK_EQ(c->run->exit_reason, KVM_EXIT_INTR);
	c->run->immediate_exit = 1;
	CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), -1);
	CHECK_EQ(errno, EINTR);
	CHECK_EQ(c->run->exit_reason, KVM_EXIT_INTR);
	c->run->immediate_exit = 0;
	monitor_allow(kernel);
	CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), 0);
	CHECK_EQ(c->run->exit_reason, KVM_EXIT_HLT);
}

#define KICKS 1000

static atomic_int wanted, taken, over;

/* A VMM that counts: whoever wants the thread must see it come back, each time. */
static void *kicked_loop(void *arg)
{
	struct cpu *c = arg;

	c->thread = pthread_self();
	while (!atomic_load(&over)) {
		int r;

		if (atomic_load(&wanted) != atomic_load(&taken)) {
			c->run->immediate_exit = 0;
			atomic_store(&taken, atomic_load(&wanted));
			continue;
		}
		r = cpu_ioctl(c, KVM_RUN, NULL);
		if (r < 0)
			CHECK_EQ(errno, EINTR);
		else
			CHECK_EQ(c->run->exit_reason, KVM_EXIT_HLT);
	}
	return NULL;
}

static void nothing(int sig)
{
}

/* immediate_exit is raised as QEMU does it: by another thread, with a signal to get the vCPU out. */
void vmm_kicks(void)
{
	struct kvm_regs r = { .rdi = DATA, .rsi = DATA + 64, .rflags = 2, .rsp = STACK + 0x1000 };
	struct cpu *c;
	pthread_t thread;
	struct sigaction act = { .sa_handler = nothing };

	protected_machine(1);
	sigaction(SIGUSR2, &act, NULL);
	c = &vm.cpus[0];
	memset(vm.ram + DATA, 0, 0x1000);
	memcpy(vm.ram + cpu_code(c), p_spin, (size_t)(p_spin_end - p_spin));
	r.rip = cpu_code(c);
	CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &r), 0);
	CHECK_EQ(pthread_create(&thread, NULL, kicked_loop, c), 0);
	for (int i = 1; i <= KICKS; i++) {
		bool closed = i % 7 == 0; /* the thread comes back even while the gate stays closed */

		if (closed)
			rf_gate_close();
		atomic_store(&wanted, i);
		c->run->immediate_exit = 1;
		if (i % 2 && !closed) { /* it closes and opens between the kick and its effect */
			rf_gate_close();
			rf_gate_open();
		}
		pthread_kill(thread, SIGUSR2);
		for (int us = 0; atomic_load(&taken) != i; us++) {
			if (us > 2000000)
				FAIL("kick %d was lost", i);
			usleep(1);
		}
		if (i % 3 == 0 && !closed)
			rf_gate_close();
		if (i % 3 == 0 || closed)
			rf_gate_open();
	}
	atomic_store(&over, 1);
	c->run->immediate_exit = 1;
	pthread_kill(thread, SIGUSR2);
	vm.ram[DATA] = 1;
	pthread_join(thread, NULL);
}

/* --- devices -------------------------------------------------------------------------------------------- */

static int ioeventfd(uint64_t addr, uint32_t len, uint32_t flags)
{
	struct kvm_ioeventfd e = { .addr = addr, .len = len, .fd = eventfd(0, EFD_CLOEXEC),
				   .flags = flags };

	return rf_fence_ioctl(vm.vm, KVM_IOEVENTFD, &e);
}

static int coalesced(unsigned long request, uint64_t addr, uint32_t size, uint32_t pio)
{
	struct kvm_coalesced_mmio_zone z = { .addr = addr, .size = size, .pio = pio };

	return rf_fence_ioctl(vm.vm, request, &z);
}

void devices_over_sealed(void)
{
	uint64_t kernel;
	struct kvm_ioeventfd early = { .addr = SEALED + 0x200, .len = 8 };
	struct cpu *c;

	protected_machine(1);
	fill_pattern();
	early.fd = eventfd(0, EFD_CLOEXEC);
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_IOEVENTFD, &early), 0);
	kernel = kernel_starts(0);
	CHECK_EQ(seal_both(kernel), 0);
	kernel_goes_on(kernel);
	c = &vm.cpus[0];
	/* One of before the seal may go, and does not come back. */
	early.flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_IOEVENTFD, &early), 0);
	early.flags = 0;
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_IOEVENTFD, &early), -1);
	CHECK_EQ(errno, EEXIST);
	for (uint32_t len = 0; len <= 8; len = len ? len * 2 : 1) {
		CHECK_EQ(ioeventfd(SEALED + 0x100, len, 0), -1);
		CHECK_EQ(errno, EEXIST);
		CHECK_EQ(ioeventfd(NOWHERE + 0x100 + len * 16, len, 0), 0);
	}
	CHECK_EQ(ioeventfd(OTHER, 4, KVM_IOEVENTFD_FLAG_DATAMATCH), -1);
	CHECK_EQ(ioeventfd(SEALED - 4, 8, 0), -1);
	CHECK_EQ(ioeventfd(SEALED + SEALED_SIZE, 8, 0), 0);
	CHECK_EQ(ioeventfd(SEALED & 0xffff, 2, KVM_IOEVENTFD_FLAG_PIO), 0); /* a port */
	if (rf_fence_ioctl(vm.kvm, KVM_CHECK_EXTENSION, (void *)KVM_CAP_COALESCED_MMIO) > 0) {
		CHECK_EQ(coalesced(KVM_REGISTER_COALESCED_MMIO, 0, RAM_SIZE, 0), -1);
		CHECK_EQ(errno, EEXIST);
		CHECK_EQ(coalesced(KVM_REGISTER_COALESCED_MMIO, SEALED + 8, 8, 0), -1);
		CHECK_EQ(coalesced(KVM_REGISTER_COALESCED_MMIO, NOWHERE + 0x1000, 0x1000, 0), 0);
		CHECK_EQ(coalesced(KVM_UNREGISTER_COALESCED_MMIO, NOWHERE + 0x1000, 0x1000, 0), 0);
		/* Ports are no memory, whatever their number. */
		if (rf_fence_ioctl(vm.kvm, KVM_CHECK_EXTENSION, (void *)KVM_CAP_COALESCED_PIO) > 0)
			CHECK_EQ(coalesced(KVM_REGISTER_COALESCED_MMIO, SEALED + 8, 8, 1), 0);
	}
	monitor_set_judge(allow);
	CPU_DO(c, p_store, .rdi = SEALED + 0x100, .rcx = 1);
	CHECK_EQ(monitor_events(), 2);
}
