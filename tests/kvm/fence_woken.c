// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A guest that has itself reset, as sleep does, and chooses what comes back: which processor, with
 * which registers, after how long. Read first as attacks, each of which worked.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "hv/fence.h"
#include "hv/vcpu.h"
#include "hv/vmx/crwatch.h"
#include "tests/kvm/patched.h"

GUEST(woken_mov8, "mov %cl, (%rdi)");
GUEST(woken_spin, "1: incq (%rsi)\n pause\n cmpq $0, (%rdi)\n je 1b");

/* A site left half way: nothing keeps its int3. */
void woken_half_way(void)
{
	uint64_t next;
	struct fault f;
	struct cpu *c;
	unsigned n;

	patched_machine(1);
	c = &vm.cpus[0];
	CPU_START(c, woken_mov8, .rdi = FIVE, .rcx = 0xcc); /* legal first step: bp_desc.refs is forged */
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(!cpu_faulted(c, &f));
	CHECK_EQ(monitor_trail()->flights_count, 1);
	n = monitor_events();
	machine_reset(); /* S3, before patch_timeout_ms */
	monitor_event(n, RF_EVENT_RESET);
	next = kernel_starts(n + 1);
	CHECK_EQ(monitor_seal_how(next, text_and_rodata, 2, RF_SEAL_KEPT), 0);
	kernel_goes_on(next);
	/* Its old bytes were put back before the text was kept. */
	CHECK(sealed_copy(FIVE)[0] != 0xcc);
	CHECK_EQ(monitor_trail()->flights_count, 0);
}

/* A loop of resets, each sooner than unsealed_ms. */
void unsealed_through_resets(void)
{
	monitor_rules.unsealed_ms = 1000;
	protected_machine(1);
	for (int i = 0; i < 6; i++) { /* 4.2 s unsealed in long mode */
		memset(vm.ram + DATA, 0, 0x1000);
		CPU_START(&vm.cpus[0], woken_spin, .rdi = DATA, .rsi = DATA + 64);
		usleep(700000);
		vm.ram[DATA] = 1;
		CHECK_EQ(cpu_wait(&vm.cpus[0]), KVM_EXIT_HLT);
		machine_reset();
	}
	CHECK(monitor_events_of(RF_EVENT_UNSEALED) >= 1);
}

/* Control bits that the code at the waking vector has left clear are pinned as before. */
void woken_without_control_bits(void)
{
	struct rf_cr_page *page;
	int fd = memfd_create("page", 0);
	struct rf_msg_pin m = { .cr4 = 0x80 };
	struct kvm_sregs s;
	char text[16];
	uint64_t k;
	unsigned n;

	CHECK_EQ(ftruncate(fd, sizeof(*page)), 0);
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	page->magic = RF_CR_MAGIC;
	page->revision = RF_CR_REVISION;
	snprintf(text, sizeof(text), "%d", fd);
	setenv(RF_CR_ENVIRONMENT, text, 1);
	k = sealed_machine(1);
	CHECK_EQ(cpu_ioctl(&vm.cpus[0], KVM_GET_SREGS, &s), 0);
	s.cr4 |= 0x80;
	CHECK_EQ(cpu_ioctl(&vm.cpus[0], KVM_SET_SREGS, &s), 0);
	rf_msg_init(&m.h, RF_MSG_PIN, 0);
	m.kernel = k;
	CHECK_EQ(monitor_command(&m.h), 0);
	CHECK_EQ(monitor_board()->cr4_pinned, 0x80);
	n = monitor_events();
	machine_reset(); /* woken up; the code at the waking vector leaves the bit clear */
	monitor_event(n, RF_EVENT_RESET);
	k = kernel_starts(n + 1);
	CHECK_EQ(monitor_seal_again(k, both_regions, 2), 0);
	m.kernel = k;
	CHECK_EQ(monitor_command(&m.h), 0);
	kernel_goes_on(k);
	CHECK_EQ(monitor_board()->cr4_pinned, 0x80);
}

/* A CPU that the VMM has unplugged, which KVM still has: a reset of all the others is one. */
void unplugged_cpu(void)
{
	sealed_machine(2);

	CPU_START(&vm.cpus[1], woken_spin, .rdi = DATA, .rsi = DATA + 64);
	usleep(10000);
	cpu_stop(&vm.cpus[1]); /* unplugged: QEMU never touches it again */
	/* As hv/interpose.c sees it. */
	rf_vcpu_mapped(vm.cpus[1].fd, vm.cpus[1].run);
	rf_vcpu_unmapped(vm.cpus[1].run);
	cpu_put_reset(&vm.cpus[0]);
	CHECK_EQ(machine_settle(), -1);
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
}
