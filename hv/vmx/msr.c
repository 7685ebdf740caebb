/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hv/vmx/cpu.h"
#include "hv/vmx/decode.h"

/* A clear bit denies (api.rst, KVM_X86_SET_MSR_FILTER). */
static uint8_t deny_one;

static struct kvm_msr_filter_range our_range(void)
{
	return (struct kvm_msr_filter_range){
		.flags = KVM_MSR_FILTER_WRITE,
		.nmsrs = 1,
		.base = RF_MSR_LSTAR,
		.bitmap = &deny_one,
	};
}

int rf_msr_filter_init(int vm_fd)
{
	struct kvm_msr_filter f = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };

	f.ranges[0] = our_range();
	return rf_kvm(vm_fd, KVM_X86_SET_MSR_FILTER, &f);
}

int rf_msr_filter_merge(int vm_fd, const struct kvm_msr_filter *vmm)
{
	struct kvm_msr_filter f = { .flags = vmm->flags };
	size_t n = 0;

	f.ranges[n++] = our_range();
	for (size_t i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		if (!vmm->ranges[i].nmsrs)
			continue;
		if (n == KVM_MSR_FILTER_MAX_RANGES)
			return -ENOSPC; /* one of the 16 is ours */
		f.ranges[n++] = vmm->ranges[i];
	}
	return rf_kvm(vm_fd, KVM_X86_SET_MSR_FILTER, &f);
}

bool rf_msr_find_lstar(const struct kvm_msrs *msrs, uint64_t *value)
{
	for (uint32_t i = 0; i < msrs->nmsrs && i < 4096; i++) {
		if (msrs->entries[i].index != RF_MSR_LSTAR)
			continue;
		*value = msrs->entries[i].data;
		return true;
	}
	return false;
}
