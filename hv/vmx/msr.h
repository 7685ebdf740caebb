/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The VMM's MSR filter and ours, as one; and the MSRs that are pinned. */
#ifndef RF_HV_VMX_MSR_H
#define RF_HV_VMX_MSR_H

#include "hv/arch.h"

struct rf_pinned {
	uint32_t index;
	uint32_t how; /* enum rf_pin_how */
	uint64_t mask, value;
};

/* Nothing is pinned any more; what was is what a seal made again pins. Lock held. */
void rf_msr_unpin(void);
bool rf_msr_pinned(uint32_t index, struct rf_pinned *out);
/* Does the VMM's own filter deny this write? Takes the lock. */
bool rf_msr_vmm_denies(uint32_t index);
/* Is it pinned? Without a lock: the answer may be a moment old. */
bool rf_msr_ours(uint32_t index);
/*
 * A filtered write whose exit stands in kvm_run is let be, as far as the CPU lets it: KVM does not
 * perform it again. RF_TO_VMM: an exit stands there that KVM would have made of it.
 */
enum rf_next rf_msr_let(struct rf_vcpu *v, uint32_t index, uint64_t value);
/* Sets our filter alone, at VM creation. */
int rf_msr_filter_init(int vm_fd);
/* The VMM's KVM_X86_SET_MSR_FILTER, merged: ours comes first, KVM takes the first range that
 * matches. */
int rf_msr_filter_merge(int vm_fd, const struct kvm_msr_filter *vmm);
/*
 * Has a pinned MSR another value than its own, or LSTAR another than this one? VMLOAD writes some
 * of them past the filter (arch/x86/kvm/svm/svm.c vmload_vmsave_interception()). Told once for a
 * value.
 */
bool rf_msr_look(struct rf_vcpu *v, uint64_t lstar, struct rf_msg_event *out);

#endif
