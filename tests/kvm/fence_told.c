// SPDX-License-Identifier: LGPL-2.1-or-later
/* What must be told, however the guest's other CPUs behave, and what no word of the monitor
 * lets. */
#include <stdlib.h>
#include <sys/ioctl.h>

#include "hv/fence.h"
#include "hv/vcpu.h"
#include "tests/kvm/patched.h"

/* --- unsealed, beside a CPU that has no paging
 * ------------------------------------------------- */

GUEST(t_spin, "1: incq (%rsi)\n pause\n cmpq $0, (%rdi)\n je 1b");
GUEST(t_ports, "1: outb %al, $0x80\n jmp 1b"); /* the same in 32 bits */

static atomic_int enough;

static void *deals_with_ports(void *arg)
{
	struct cpu *c = arg;

	while (!atomic_load(&enough)) {
		if (cpu_ioctl(c, KVM_RUN, NULL) && errno != EINTR)
			break;
		c->run->immediate_exit = 0;
	}
	return NULL;
}

/* Protected mode, flat, no paging. */
static void no_paging(struct cpu *c)
{
	struct kvm_sregs s;
	struct kvm_regs r = { .rip = cpu_code(c), .rflags = 2 };

	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	s.cr0 = 0x11;
	s.cr4 = s.efer = 0;
	s.cs = (struct kvm_segment){ .limit = UINT32_MAX,
				     .selector = 8,
				     .type = 11,
				     .present = 1,
				     .db = 1,
				     .s = 1,
				     .g = 1 };
	s.ss = s.ds = s.es = s.fs = s.gs = (struct kvm_segment){ .limit = UINT32_MAX,
								 .selector = 16,
								 .type = 3,
								 .present = 1,
								 .db = 1,
								 .s = 1,
								 .g = 1 };
	CHECK_EQ(cpu_ioctl(c, KVM_SET_SREGS, &s), 0);
	memcpy(vm.ram + cpu_code(c), t_ports, (size_t)(t_ports_end - t_ports));
	CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &r), 0);
}

#define OTHERS 5

/* "a kernel that runs on unsealed ... detected, within unsealed_alert_ms": the vCPUs without paging
 * take each look for themselves, the kernel's is never looked at. */
void unsealed_beside_no_paging(void)
{
	struct cpu *kernel;
	pthread_t t[OTHERS];
	int tenths = 0;

	monitor_rules.unsealed_ms = 200;
	protected_machine(OTHERS + 1);
	for (int i = 0; i < OTHERS; i++) {
		no_paging(&vm.cpus[i]);
		CHECK_EQ(pthread_create(&t[i], NULL, deals_with_ports, &vm.cpus[i]), 0);
	}
	kernel = &vm.cpus[OTHERS];
	memset(vm.ram + DATA, 0, 0x1000);
	CPU_START(kernel, t_spin, .rdi = DATA, .rsi = DATA + 64);
	while (tenths < 150 && !monitor_events_of(RF_EVENT_UNSEALED)) {
		usleep(100000);
		tenths++;
	}
	printf("  told after %d00 ms, asked for within 200\n", tenths);
	fflush(stdout);
	vm.ram[DATA] = 1;
	CHECK_EQ(cpu_wait(kernel), KVM_EXIT_HLT);
	atomic_store(&enough, 1);
	for (int i = 0; i < OTHERS; i++)
		pthread_join(t[i], NULL);
	CHECK(tenths < 80); /* a tick is a second, and the machine may be busy */
}

/* --- a place that is let stand, and then is another instruction
 * ---------------------------------- */

GUEST(t_jump, "1: jmp 1b\n nop");      /* eb fe 90 */
GUEST(t_becomes, "movl %ecx, (%rdi)"); /* the other vCPU's */

static atomic_uint looped, hung;

/* What monitor/stores.c makes of it: who loops goes on, a store into a seal does not. */
static bool as_the_monitor(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	const uint8_t *at = vm.ram + ev->regs.rip;

	if (ev->kind != RF_EVENT_STALLED)
		return true;
	if (at[0] != 0x0f) {
		atomic_fetch_add(&looped, 1);
		return true;
	}
	atomic_fetch_add(&hung, 1);
	v->verdict = RF_VERDICT_DENY;
	v->vector = 14;
	v->error_code = 3;
	v->cr2 = ev->regs.gpr[7];
	memcpy(v->gpr, ev->regs.gpr, sizeof(v->gpr));
	v->rip = ev->regs.rip;
	v->rflags = ev->regs.rflags;
	return true;
}

/* "sgdt, sidt stored into a sealed page: blocked, precise fault": it hangs, and there is no
 * record. */
void stalled_where_it_looped(void)
{
	struct rf_msg_traps m = { .kernel = sealed_machine(2), .check_ms = 50 };
	struct cpu *c = &vm.cpus[0];
	struct fault f;

	rf_msg_init(&m.h, RF_MSG_TRAPS, 0);
	CHECK_EQ(monitor_traps(&m), 0);
	monitor_set_judge(as_the_monitor);
	CPU_START(c, t_jump, .rdi = SEALED + 0x40);
	for (int i = 0; i < 100 && !atomic_load(&looped); i++)
		usleep(100000);
	CHECK(atomic_load(&looped)); /* its own affair */
	/* sgdt (%rdi), where it stands: no register changes. */
	CPU_DO(&vm.cpus[1], t_becomes, .rdi = cpu_code(c), .rcx = 0xf407010f);
	for (int i = 0; i < 100 && !atomic_load(&hung); i++)
		usleep(100000); /* ten seconds: check_ms is 50 ms */
	CHECK_EQ(atomic_load(&hung), 1);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(cpu_faulted(c, &f));
	CHECK_EQ(f.vector, 14);
}

/* --- what the policy forbids, of registers
 * ------------------------------------------------------- */

GUEST(t_wrmsr, "wrmsr");

static void lets_an_entry(void)
{
	const uint64_t entry = KERNEL_ENTRY + 0x40;

	sealed_machine(1);
	monitor_set_judge(allow);
	CPU_DO(&vm.cpus[0], t_wrmsr, .rcx = LSTAR, .rax = (uint32_t)entry, .rdx = entry >> 32);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 1);
}

/* "a monitor that lets through what the policy it started with forbids: blocked: the VM is
 * ended" */
void rules_forbid_another_entry(void)
{
	monitor_rules = (struct rf_rules){ .kexec = 1 };
	ends_the_vm(lets_an_entry, "that the policy does not");
}

/* --- one look, one register
 * ---------------------------------------------------------------------- */

#define A_STAR 0xc0000081u
#define A_STAR_VALUE UINT64_C(0x23001000000000)
#define A_ROUNDS 20

static atomic_uint lstar_found; /* the times a look told of it */

static bool deny_found(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_MSR_FOUND) {
		v->verdict = RF_VERDICT_DENY;
		lstar_found += ev->msr.index == LSTAR;
	}
	return true;
}

/*
 * "a pinned MSR loaded past the filter (VMLOAD): detected, and put back": a look tells of one, the
 * first by its number, and LSTAR is the last. Who spoils another one again before each look keeps
 * his LSTAR, and no record names it.
 */
void lstar_behind_another_msr(void)
{
	struct rf_msg_pin pin = { .kernel = sealed_machine(1), .count = 1 };
	struct rf_msg_traps m = { .kernel = pin.kernel, .check_ms = 10 };
	struct cpu *c = &vm.cpus[0];
	uint64_t value;

	lstar_found = 0;
	rf_msg_init(&m.h, RF_MSG_TRAPS, 0);
	CHECK_EQ(monitor_traps(&m), 0);
	monitor_set_judge(deny_found);
	CHECK_EQ(cpu_set_msr(c, A_STAR, A_STAR_VALUE), 0);
	pin.pins[0].index = A_STAR;
	pin.pins[0].how = RF_PIN_VALUE;
	pin.pins[0].mask = UINT64_MAX;
	CHECK_EQ(monitor_pin(&pin), 0);
	usleep(25000);
	guest_read(c, DATA); /* all as pinned */
	guest_has_msr(c, LSTAR, KERNEL_ENTRY + 0x40);
	for (int i = 0; i < A_ROUNDS; i++) {
		guest_has_msr(c, A_STAR, 5);
		usleep(25000);
		guest_read(c, DATA); /* and looks once, or twice where the machine is slow */
	}
	CHECK_EQ(cpu_get_msr(c, LSTAR, &value), 0);
	printf("  %u found in %d looks, LSTAR %u times\n", monitor_events_of(RF_EVENT_MSR_FOUND),
	       A_ROUNDS, lstar_found);
	fflush(stdout);
	CHECK_EQ(value, KERNEL_ENTRY);
	CHECK(lstar_found);
}
