/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A vCPU's registers and faults, x86. Called on the vCPU's own thread. 0 / -errno. */
#ifndef RF_HV_VMX_CPU_H
#define RF_HV_VMX_CPU_H

#include "hv/vm.h"

int rf_cpu_get_regs(struct rf_vcpu *v, struct rf_vcpu_regs *out);
/* Registers as the verdict says, then the exception it names. */
int rf_cpu_fault(struct rf_vcpu *v, const struct rf_msg_verdict *verdict);
/* An exception without an error code, registers as they are. */
int rf_cpu_inject(struct rf_vcpu *v, uint8_t vector);
int rf_cpu_set_msr(struct rf_vcpu *v, uint32_t index, uint64_t value);
/* Completes what KVM_RUN exited for without any effect on the registers. The vCPU does not run; any
 * thread. */
int rf_cpu_abandon(struct rf_vcpu *v);

/* --- msr.c: the VMM's MSR filter and ours, as one ------------------------- */
/* Sets our filter alone, at VM creation. */
int rf_msr_filter_init(int vm_fd);
/* The VMM's KVM_X86_SET_MSR_FILTER, merged: ours comes first, KVM takes the first range that
 * matches. */
int rf_msr_filter_merge(int vm_fd, const struct kvm_msr_filter *vmm);
/* The value of LSTAR among msrs, false when it is not there. */
bool rf_msr_find_lstar(const struct kvm_msrs *msrs, uint64_t *value);

#endif
