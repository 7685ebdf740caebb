/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A vCPU's registers and faults, x86. Called on the vCPU's own thread, or with every vCPU outside.
 * 0 / -errno. */
#ifndef RF_HV_VMX_CPU_H
#define RF_HV_VMX_CPU_H

#include "hv/arch.h"

/* Debian 12's headers are older. */
#ifndef KVM_CAP_X86_GUEST_MODE
#define KVM_CAP_X86_GUEST_MODE 238
#define KVM_RUN_X86_GUEST_MODE (1 << 2)
#endif

/* The table registers that were last judged; the vCPU thread's own but for the atomic. */
struct rf_kept {
	bool known;
	struct rf_vcpu_tables tables;
	/* Pinned MSRs, in their order and LSTAR last, found with another value and told. */
	uint64_t msrs_told;
	uint64_t msr_values[RF_PIN_MAX + 1];
	bool msrs_set;	     /* all pinned ones had their values at once */
	unsigned cr_missing; /* pinned bits of CR0, CR4: for how long they were found clear */
	uint32_t msr_next;   /* where the next look at them begins */
	unsigned turn;	     /* which of the looks is the first next time */
	uint64_t stood;	     /* RIP at the last look */
	unsigned looks;	     /* since then, that found it there */
	/* CLOCK_MONOTONIC, when they were last compared; 0: they are at the next exit. And the
	 * thread's CPU time when that was so last. */
	atomic_ullong looked_ns, used_ns;
};

struct rf_arch_vcpu {
	bool left_behind; /* in a kernel that went over to another one, on another vCPU */
	struct rf_kept kept;
	struct kvm_regs at_out;	 /* at its last OUT to the traps' port */
	bool at_out_known;	 /* KVM_RUN has left them already */
	bool regs_in_run;	 /* the next KVM_RUN takes registers along */
	struct rf_cr_cleared cr; /* put back, and to be told of */
	bool delivery_failed;	 /* the exit before was one that an event's delivery failed */
	/* May the VMM queue an interrupt? KVM_RUN has just said so, or it was told no by us. */
	bool ready_said, ready_hidden;
};

/* What KVM can, asked once before the VM is made. */
extern struct rf_cpu_can {
	bool tells_guest_mode; /* KVM_RUN_X86_GUEST_MODE */
	bool syncs_regs;       /* KVM_SYNC_X86_REGS */
	bool blocks_irqs;      /* KVM_GUESTDBG_BLOCKIRQ */
} rf_cpu_can;

#define CR0_PG (UINT64_C(1) << 31)
#define EFER_LME (UINT64_C(1) << 8)
#define EFER_LMA (UINT64_C(1) << 10)

/* KVM_GET_REGS and the like, which fail of no vCPU that runs on. */
static inline void rf_cpu_get(struct rf_vcpu *v, unsigned long request, void *out)
{
	if (rf_kvm(v->fd, request, out))
		rf_fatal("a vCPU's registers could not be read");
}

/*
 * Which event's delivery KVM has begun and makes on the next entry, or RF_NO_VECTOR. INT3 and INT n
 * are not told, they are executed again (x86.c kvm_vcpu_ioctl_x86_get_vcpu_events()). Nor is an
 * exception that is only pending: what raised it raises it again, or had no business to.
 */
#define RF_NO_VECTOR UINT32_MAX
uint32_t rf_cpu_delivers(struct rf_vcpu *v);
/* An exception without an error code, registers as they are. */
int rf_cpu_inject(struct rf_vcpu *v, uint8_t vector);
int rf_cpu_get_msr(struct rf_vcpu *v, uint32_t index, uint64_t *value);
int rf_cpu_set_msr(struct rf_vcpu *v, uint32_t index, uint64_t value);
/* Could the guest set these bits of EFER without us? */
bool rf_cpu_offers_efer(struct rf_vcpu *v, uint64_t efer);
/* Is it in system management mode? */
bool rf_cpu_in_smm(struct rf_vcpu *v);
/* Does it wait in KVM, as in HLT where KVM has its LAPIC, and executes nothing? */
bool rf_cpu_waits(struct rf_vcpu *v);
/* Does it run a guest of the guest? Then its registers are that one's. */
bool rf_cpu_nested(struct rf_vcpu *v);
/* The same, or is it about to or just back, with GIF clear, or in system management mode? */
bool rf_cpu_switching(struct rf_vcpu *v);
/* KVM_RUN with immediate_exit until nothing is pending; the guest does not run. It stays raised, so
 * that a kick of the VMM's own is not lost. Takes the lock. */
int rf_cpu_complete(struct rf_vcpu *v);

#endif
