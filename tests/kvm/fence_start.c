// SPDX-License-Identifier: LGPL-2.1-or-later
/* From the environment variable to a kernel that is known: asked or not, refusals, capabilities,
 * LSTAR. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "hv/fence.h"
#include "hv/base.h"
#include "hv/guestmem.h"
#include "tests/kvm/scenario.h"

GUEST(g_lstar, "wrmsr\n rdmsr");

void not_asked(void)
{
	uint64_t value;

	machine_need_kvm();
	unsetenv("RINGFENCE_LINK");
	machine_create(1);
	CHECK_EQ(rf_fence_waiting(), 0);
	CHECK(!rf_vm.used);
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_CHECK_EXTENSION, (void *)KVM_CAP_NR_MEMSLOTS),
		 ioctl(vm.vm, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS));
	CPU_DO(&vm.cpus[0], g_lstar, .rcx = LSTAR, .rax = 0x1000);
	CHECK_EQ(cpu_get_msr(&vm.cpus[0], LSTAR, &value), 0);
	CHECK_EQ(value, 0x1000);
	CHECK_EQ(rf_fence_ioctl(-1, KVM_RUN, NULL), -1);
	CHECK_EQ(errno, EBADF);
}

/* KVM_CREATE_VM must fail with EPERM and say on stderr what this text holds. */
static void refused(const char *said)
{
	char line[512] = "";
	int fds[2], err, old = dup(STDERR_FILENO);

	CHECK_EQ(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	err = machine_try() < 0 ? errno : 0;
	dup2(old, STDERR_FILENO);
	close(fds[1]);
	CHECK_EQ(err, EPERM);
	CHECK(read(fds[0], line, sizeof(line) - 1) > 0);
	if (!strstr(line, "ringfence: this VM is not started") || !strstr(line, said))
		FAIL("stderr: %s", line);
	CHECK(strchr(line, '\n') == line + strlen(line) - 1); /* one line */
	close(fds[0]);
}

void no_monitor(void)
{
	machine_need_kvm();
	ask();
	refused("no monitor came");
	refused("no monitor came"); /* and again: nothing is left of the first */
	CHECK(!rf_vm.used);
}

static void unmannerly(enum monitor_manners manners, const char *said)
{
	machine_need_kvm();
	ask();
	monitor_start(manners);
	refused(said);
	monitor_die();
	/* The same process may try again when a proper one is there. */
	monitor_start(MONITOR_GOOD);
	CHECK(machine_try() >= 0);
}

void foreign_monitor(void)
{
	unmannerly(MONITOR_FOREIGN, "not a monitor");
}

void other_revision(void)
{
	unmannerly(MONITOR_REVISION, "another revision");
}

void refusing_monitor(void)
{
	unmannerly(MONITOR_HANGS_UP, "refused this VM");
}

void second_vm(void)
{
	struct fault f;
	uint64_t kernel;

	protected_machine(1);
	kernel = kernel_starts(0);
	CHECK_EQ(rf_fence_ioctl(vm.kvm, KVM_CREATE_VM, NULL), -1);
	CHECK_EQ(errno, EPERM);
	CHECK_EQ(rf_fence_ioctl(vm.kvm, KVM_CREATE_VM, (void *)1), -1);
	CHECK_EQ(errno, EPERM);
	kernel_goes_on(kernel); /* the first is none the worse for it */
	CHECK(!cpu_faulted(&vm.cpus[0], &f));
}

/* VMs whose memory the host cannot read are refused before KVM hears of them; the next one is not
 * the worse for it. */
void hidden_memory(void)
{
	machine_need_kvm();
	ask();
	monitor_start(MONITOR_GOOD);
	for (uintptr_t type = 1; type < 8; type++) {
		CHECK_EQ(rf_fence_ioctl(vm.kvm, KVM_CREATE_VM, (void *)type), -1);
		CHECK_EQ(errno, EPERM);
	}
	machine_create(1);
	monitor_await_vm();
	kernel_goes_on(kernel_starts(0));
}

static int extension(int fd, unsigned long cap)
{
	return rf_fence_ioctl(fd, KVM_CHECK_EXTENSION, (void *)cap);
}

/* Of newer kernels than the build's headers. */
#define CAP_MANUAL_DIRTY_LOG_PROTECT2 168
#define CAP_DIRTY_LOG_RING 192
#define CAP_DIRTY_LOG_RING_ACQ_REL 223
#define CAP_MEMORY_ATTRIBUTES 233
#define CAP_GUEST_MEMFD 234
#define SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, char[160])

void capabilities(void)
{
	static const unsigned long absent[] = {
		CAP_MANUAL_DIRTY_LOG_PROTECT2, CAP_DIRTY_LOG_RING, CAP_DIRTY_LOG_RING_ACQ_REL,
		CAP_MEMORY_ATTRIBUTES,	       CAP_GUEST_MEMFD,
	};
	struct kvm_userspace_memory_region r = { .slot = 3,
						 .guest_phys_addr = SPARE,
						 .memory_size = 0x1000 };
	struct {
		struct kvm_userspace_memory_region r;
		uint64_t more[16];
	} r2 = { .r = r };
	struct kvm_clear_dirty_log clear = { .slot = 0 };

	protected_machine(1);
	for (size_t i = 0; i < COUNT(absent); i++) {
		struct kvm_enable_cap c = { .cap = (uint32_t)absent[i], .args = { 4096 } };

		CHECK_EQ(extension(vm.vm, absent[i]), 0);
		CHECK_EQ(extension(vm.kvm, absent[i]), 0);
		CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_ENABLE_CAP, &c), -1);
	}
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_CLEAR_DIRTY_LOG, &clear), -1);
	CHECK_EQ(errno, ENOTTY);
	CHECK_EQ(extension(vm.vm, KVM_CAP_NR_MEMSLOTS),
		 ioctl(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS) - RF_OWN_IDS);
	CHECK_EQ(extension(vm.kvm, KVM_CAP_USER_MEMORY),
		 ioctl(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY));
	/* The last id offered works, the next one does not. */
	r.userspace_addr = (uintptr_t)vm.ram;
	r.slot = (uint32_t)extension(vm.vm, KVM_CAP_NR_MEMSLOTS);
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_SET_USER_MEMORY_REGION, &r), -1);
	CHECK_EQ(errno, EINVAL);
	r.slot--;
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_SET_USER_MEMORY_REGION, &r), 0);
	/* What is offered is served: QEMU uses the second form wherever it is reported. */
	r2.r.userspace_addr = (uintptr_t)vm.ram;
	r2.r.guest_phys_addr += 0x1000;
	CHECK_EQ(rf_fence_ioctl(vm.vm, SET_USER_MEMORY_REGION2, &r2), 0);
	CHECK_EQ(guest_read(&vm.cpus[0], SPARE + 0x1000), *(uint64_t *)(void *)vm.ram);
	r2.r.slot++;
	r2.r.flags = 4; /* KVM_MEM_GUEST_MEMFD */
	CHECK_EQ(rf_fence_ioctl(vm.vm, SET_USER_MEMORY_REGION2, &r2), -1);
	CHECK_EQ(errno, EINVAL);
}

/* --- LSTAR
 * ---------------------------------------------------------------------------------------------- */

void lstar_allowed(void)
{
	uint64_t kernel, value;

	protected_machine(2);
	CHECK_EQ(monitor_hello()->state, RF_VM_BOOTING);
	CHECK_EQ(monitor_hello()->vmm_pid, getpid());
	kernel = kernel_starts(0);
	CHECK_EQ(cpu_get_msr(&vm.cpus[0], LSTAR, &value), 0);
	CHECK_EQ(value, 0); /* not before the verdict */
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	kernel_goes_on(kernel);
	CHECK_EQ(monitor_board()->state, RF_VM_FOUND);
	/* The other CPUs do as the first did: no event, no wait. */
	CPU_DO(&vm.cpus[1], g_lstar, .rcx = LSTAR, .rax = (uint32_t)KERNEL_ENTRY,
	       .rdx = KERNEL_ENTRY >> 32);
	CHECK_EQ(cpu_get_msr(&vm.cpus[1], LSTAR, &value), 0);
	CHECK_EQ(value, KERNEL_ENTRY);
	CHECK_EQ(monitor_events(), 1);
	CHECK_EQ(monitor_count(RF_COUNT_MSR), 2);
	CHECK_EQ(monitor_count(RF_COUNT_ALLOWED), 1);
}

static struct rf_msg_event denied_lstar(struct cpu *c, unsigned n, uint64_t to)
{
	struct rf_msg_verdict v = { .verdict = RF_VERDICT_DENY, .vector = 13 };
	struct rf_msg_event ev;
	struct fault f;

	CPU_START(c, g_lstar, .rcx = LSTAR, .rax = (uint32_t)to, .rdx = to >> 32);
	ev = monitor_event(n, RF_EVENT_KERNEL);
	CHECK_EQ(ev.msr.value, to);
	v.id = ev.id;
	monitor_verdict(&v);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(cpu_faulted(c, &f));
	CHECK_EQ(f.vector, 13);
	CHECK_EQ(f.error, 0);
	CHECK_EQ(f.rip, cpu_code(c));
	CHECK_EQ(cpu_regs(c).rax, (uint32_t)to);
	CHECK_EQ(monitor_outcome(0).id, ev.id);
	return ev;
}

void lstar_denied(void)
{
	uint64_t value;

	protected_machine(1);
	denied_lstar(&vm.cpus[0], 0, 0x4000);
	CHECK_EQ(cpu_get_msr(&vm.cpus[0], LSTAR, &value), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	CHECK_EQ(monitor_count(RF_COUNT_DENIED), 1);
}

/* No canonical addresses, with four levels of page tables or five: KVM gives the guest #GP for them
 * (x86.c __kvm_set_msr()), whoever else lets them. */
static const uint64_t no_addresses[] = { UINT64_C(1) << 63, UINT64_C(0x1000000000000040),
					 UINT64_C(0xefffffff81000040) };

/* The guest writes it, the monitor lets it: #GP, on the instruction. */
static struct rf_msg_event no_address(struct cpu *c, unsigned n, enum rf_event_kind kind,
				      uint64_t to)
{
	struct rf_msg_event ev;
	struct fault f;
	uint64_t was, value;

	CHECK_EQ(cpu_get_msr(c, LSTAR, &was), 0);
	CPU_START(c, g_lstar, .rcx = LSTAR, .rax = (uint32_t)to, .rdx = to >> 32);
	ev = monitor_event(n, kind);
	CHECK_EQ(ev.msr.value, to);
	if (kind == RF_EVENT_KERNEL && n == 1)
		CHECK_EQ(monitor_watch(ev.id, WATCHED, 8, 1), 0);
	monitor_allow(ev.id);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(cpu_faulted(c, &f));
	CHECK_EQ(f.vector, 13);
	CHECK_EQ(f.error, 0);
	CHECK_EQ(f.rip, cpu_code(c));
	CHECK_EQ(cpu_get_msr(c, LSTAR, &value), 0);
	CHECK_EQ(value, was);
	return ev;
}

/* No kernel is known by an entry that its CPU has not taken, and nothing waits for one. */
void lstar_not_canonical(void)
{
	uint64_t kernel;
	unsigned n = 0;

	protected_machine(2);
	fill_pattern();
	for (size_t i = 0; i < COUNT(no_addresses); i++)
		for (int again = 0; again < 2;
		     again++, n++) { /* the other one is asked about too */
			struct rf_msg_event ev =
				no_address(&vm.cpus[again], n, RF_EVENT_KERNEL, no_addresses[i]);

			/* The monitor hears that it was not done. */
			CHECK_EQ(monitor_outcome(n).id, ev.id);
			CHECK_EQ(monitor_outcome(n).status, -EIO);
			CHECK_EQ(monitor_board()->kernel, 0);
			CHECK_EQ(monitor_seal(ev.id, both_regions, 2), -ESTALE);
		}
	kernel = kernel_starts(n);
	CHECK_EQ(seal_both(kernel), 0);
	kernel_goes_on(kernel);
	CHECK_EQ(monitor_board()->kernel, kernel);
	store_is_denied(&vm.cpus[0], SEALED + 8);
	/* Let under the seal, by a monitor that observes: the CPU's to refuse as well. */
	no_address(&vm.cpus[1], monitor_events(), RF_EVENT_MSR, no_addresses[0]);
	CHECK_EQ(monitor_board()->kernel, kernel);
	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
	store_is_denied(&vm.cpus[0], SEALED + 8);
}

/* Sealed for such an entry, it stays sealed: each entry from then on is asked about. */
void sealed_for_no_address(void)
{
	struct rf_msg_event ev;
	struct cpu *c;
	struct fault f;

	protected_machine(1);
	fill_pattern();
	c = &vm.cpus[0];
	CPU_START(c, g_lstar, .rcx = LSTAR, .rdx = no_addresses[0] >> 32);
	ev = monitor_event(0, RF_EVENT_KERNEL);
	CHECK_EQ(seal_both(ev.id), 0);
	monitor_allow(ev.id);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(cpu_faulted(c, &f));
	CHECK_EQ(f.vector, 13);
	CHECK_EQ(monitor_outcome(0).status, -EIO);
	CHECK_EQ(monitor_board()->kernel, 0);
	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
	CHECK_EQ(monitor_seal(ev.id, both_regions, 2), -ESTALE);
	store_is_denied(c, SEALED + 8);
	monitor_set_judge(allow);
	for (unsigned i = 0; i < 2; i++) {
		CPU_DO(c, g_lstar, .rcx = LSTAR, .rax = (uint32_t)KERNEL_ENTRY,
		       .rdx = KERNEL_ENTRY >> 32);
		CHECK_EQ(monitor_events_of(RF_EVENT_MSR), i + 1);
	}
	CHECK_EQ(monitor_board()->kernel, 0);
}

/* A write that was refused must not make the true kernel's seal stale. */
void kernel_id_survives_a_denied_write(void)
{
	uint64_t kernel, value;

	protected_machine(2);
	fill_pattern();
	kernel = kernel_starts(0);
	kernel_goes_on(kernel);
	denied_lstar(&vm.cpus[1], 1, 0x4000);
	CHECK_EQ(cpu_get_msr(&vm.cpus[1], LSTAR, &value), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(monitor_board()->kernel, kernel);
	CHECK_EQ(seal_both(kernel), 0);
}
