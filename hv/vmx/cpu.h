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

int rf_cpu_get_msr(struct rf_vcpu *v, uint32_t index, uint64_t *value);
/* Is it in system management mode? */
/* Could the guest set these bits of EFER without us? */
bool rf_cpu_offers_efer(struct rf_vcpu *v, uint64_t efer);
bool rf_cpu_in_smm(struct rf_vcpu *v);
/* Does it run a guest of the guest? Then its registers are that one's. */
bool rf_cpu_nested(struct rf_vcpu *v);
/* The same, or is it about to or just back, with GIF clear? */
bool rf_cpu_switching(struct rf_vcpu *v);

/* --- trap.c: traps in sealed text, and the table registers ------------------- */
/* Of the instruction the vCPU stands on. */
int rf_cpu_where(struct rf_vcpu *v, uint64_t *rip, uint32_t *cpl);
int rf_cpu_get_tables(struct rf_vcpu *v, struct rf_vcpu_tables *out);
/* As rf_msg_traps says. 0 or -errno with nothing changed. */
int rf_traps_plant(const struct rf_msg_traps *m);
/* The guest was reset: the instructions are back in what is still sealed. Lock held, gate closed.
 */
void rf_traps_forget(void);
/*
 * An exit that was decoded as a trap: which one, and the address of the instruction that stood
 * there. False: not ours after all (a reset took the trap away, or a guest's guest has an OUT at
 * the same address).
 */
bool rf_trap_find(struct rf_vcpu *v, uint64_t *rip, struct rf_trap_site *out);
/* The exit is ended, the vCPU stands on the instruction, which is at rip. */
void rf_trap_take(struct rf_vcpu *v, uint64_t rip);
/*
 * A move to a control register that keeps what is pinned: done, true. Else *value is what it would
 * have got.
 */
bool rf_trap_settle(struct rf_vcpu *v, const struct rf_trap_site *site, uint64_t *value);
/* The register gets what the verdict says and the vCPU goes on behind the instruction, or takes the
 * verdict's fault on it. */
int rf_trap_enforce(struct rf_vcpu *v, bool allowed);
/* Is it time to compare registers? Not of a vCPU that comes up. */
bool rf_tables_due(struct rf_vcpu *v);
/* Are the table registers others than those last judged? Then *out is what is there. */
bool rf_tables_look(struct rf_vcpu *v, struct rf_vcpu_tables *out);
int rf_tables_enforce(struct rf_vcpu *v, bool allowed);
/* Gets vCPUs out that have run without being looked at. Any thread. */
void rf_tables_tick(void);

/* --- poke.c: the kernel's own way of changing text ---------------------------- */
/*
 * RF_TRAP_POKE at rip was run into: a change that the table allows is made, true; else the vCPU
 * goes on as if there were no trap.
 */
bool rf_poke(struct rf_vcpu *v, uint64_t rip, const struct rf_trap_site *site);
/* Behind each KVM_RUN: takes the registers that it left, and kvm_run is the VMM's again. */
void rf_poke_ran(struct rf_vcpu *v);
/* What rf_poke() left for the next KVM_RUN is loaded, as something else comes first. */
void rf_poke_settle(struct rf_vcpu *v);

/* --- msr.c: the VMM's MSR filter and ours, as one ------------------------- */
struct rf_pinned {
	uint32_t index;
	uint32_t how; /* enum rf_pin_how */
	uint64_t mask, value;
};
/* Values are those of vCPU 0 now. 0 or -errno with nothing changed; -ENOSPC: the VMM's filter
 * leaves no room. */
int rf_msr_pin(const struct rf_msg_pin *m);
/* The guest was reset. Lock held. */
void rf_msr_unpin(void);
bool rf_msr_pinned(uint32_t index, struct rf_pinned *out);
/* The same question without a lock: the answer may be a moment old. */
bool rf_msr_ours(uint32_t index);
/* Sets our filter alone, at VM creation. */
int rf_msr_filter_init(int vm_fd);
/* The VMM's KVM_X86_SET_MSR_FILTER, merged: ours comes first, KVM takes the first range that
 * matches. */
int rf_msr_filter_merge(int vm_fd, const struct kvm_msr_filter *vmm);
/*
 * Has a pinned MSR another value than its own? VMLOAD writes some of them past the filter
 * (arch/x86/kvm/svm/svm.c vmload_vmsave_interception()). Told once for a value.
 */
bool rf_msr_look(struct rf_vcpu *v, struct rf_msg_event *out);
/* The value of LSTAR among msrs, false when it is not there. */
bool rf_msr_find_lstar(const struct kvm_msrs *msrs, uint64_t *value);

#endif
