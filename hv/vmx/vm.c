// SPDX-License-Identifier: LGPL-2.1-or-later
/* The VM as x86 has it: what KVM must offer, what stands before the guest runs, what the VMM
 * asks. */
#include "hv/vmx/vm.h"

#include "hv/board.h"
#include "hv/guestmem.h"
#include "hv/vmx/cr.h"
#include "hv/vmx/msr.h"
#include "hv/vmx/tables.h"
#include "hv/vmx/trap.h"

struct rf_vmm_asked rf_vmm_asked;

/* What the fence cannot do without; `ringfence doctor` shows the same with remedies. */
static const struct {
	uint32_t cap;
	int min;
	const char *why;
} needs[] = {
	{ KVM_CAP_READONLY_MEM, 1, "KVM lacks read-only memory slots (KVM_CAP_READONLY_MEM)" },
	{ KVM_CAP_SYNC_MMU, 1, "KVM lacks MMU notifiers (KVM_CAP_SYNC_MMU)" },
	{ KVM_CAP_IMMEDIATE_EXIT, 1, "KVM lacks immediate_exit (KVM_CAP_IMMEDIATE_EXIT)" },
	{ KVM_CAP_X86_USER_SPACE_MSR, 1, "KVM lacks MSR exits (KVM_CAP_X86_USER_SPACE_MSR)" },
	{ KVM_CAP_X86_MSR_FILTER, 1, "KVM lacks MSR filters (KVM_CAP_X86_MSR_FILTER)" },
	{ KVM_CAP_VCPU_EVENTS, 1, "KVM cannot inject faults (KVM_CAP_VCPU_EVENTS)" },
	{ KVM_CAP_SET_GUEST_DEBUG, 1, "KVM cannot single-step (KVM_CAP_SET_GUEST_DEBUG)" },
	{ KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1,
	  "KVM does not report what it cannot emulate (KVM_CAP_EXIT_ON_EMULATION_FAILURE)" },
	{ KVM_CAP_NR_MEMSLOTS, 4 * RF_OWN_IDS, "KVM has too few memory slots" },
};

const char *rf_arch_refusal(int kvm_fd)
{
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (rf_check_extension(kvm_fd, needs[i].cap) < needs[i].min)
			return needs[i].why;
	if (rf_cr_init())
		return "the page of the control-register watch (RINGFENCE_CR_FD) is none";
	rf_cpu_can.syncs_regs = rf_check_extension(kvm_fd, KVM_CAP_SYNC_REGS) & KVM_SYNC_X86_REGS;
	rf_cpu_can.blocks_irqs =
		rf_check_extension(kvm_fd, KVM_CAP_SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ;
	rf_cpu_can.tells_guest_mode = rf_check_extension(kvm_fd, KVM_CAP_X86_GUEST_MODE) > 0;
	return NULL;
}

static int enable(int fd, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap c = { .cap = cap, .args = { arg } };

	return rf_kvm(fd, KVM_ENABLE_CAP, &c);
}

int rf_arch_protect(int fd, const char **why)
{
	rf_board->cr_watch = rf_cr_watched();
	*why = "the MSR filter could not be set";
	if (enable(fd, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER) ||
	    rf_msr_filter_init(fd))
		return -EPERM;
	*why = "KVM_CAP_EXIT_ON_EMULATION_FAILURE could not be enabled";
	return enable(fd, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1);
}

static bool merge_cap(const struct kvm_enable_cap *cap, int *result)
{
	struct kvm_enable_cap c = *cap;

	switch (c.cap) {
	case KVM_CAP_X86_USER_SPACE_MSR:
		rf_vmm_asked.msr_exits = c.args[0] & KVM_MSR_EXIT_REASON_FILTER;
		c.args[0] |= KVM_MSR_EXIT_REASON_FILTER;
		*result = rf_kvm(rf_vm.fd, KVM_ENABLE_CAP, &c);
		return true;
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
		rf_vmm_asked.emulation_exits = c.args[0];
		*result = 0; /* it is on, and stays on */
		return true;
	}
	return false;
}

bool rf_arch_vm_ioctl(unsigned long request, void *arg, int *result)
{
	switch (request) {
	case KVM_ENABLE_CAP:
		return merge_cap(arg, result);
	case KVM_X86_SET_MSR_FILTER:
		*result = rf_msr_filter_merge(rf_vm.fd, arg);
		return true;
	}
	return false;
}

void rf_arch_disarm(const struct rf_vcpu *first)
{
	rf_traps_forget();
	rf_msr_unpin();
	RF_EACH_VCPU(v)
		v->arch->left_behind = first && first != v;
}

void rf_arch_tick(void)
{
	rf_cr_tick();
	rf_tables_tick();
}

unsigned rf_arch_tick_ms(void)
{
	unsigned ms = rf_tables_tick_ms();

	return rf_cr_watched() && ms > RF_CR_TICK_MS ? RF_CR_TICK_MS : ms;
}
